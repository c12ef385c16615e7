"""Small files of payments in the layouts of PaySim and TabFormer, with values drawn here.

Only names, separators, texts and shapes are those of the sources. Each file holds payments and
labels alike, and one mapping file for each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.layout_files import write_csv, write_texts

PAYSIM_STEPS, PAYSIM_ROWS = 744, 6_000
TABFORMER_DAYS, TABFORMER_ROWS = 60, 5_000
PAYSIM_LARGEST = 92_445_516.64
_PAYSIM = (
    *("step", "type", "amount", "nameOrig", "oldbalanceOrg", "newbalanceOrig"),
    *("nameDest", "oldbalanceDest", "newbalanceDest", "isFraud", "isFlaggedFraud"),
)
_TYPES = ("CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER")
_TABFORMER = (
    *("User", "Card", "Year", "Month", "Day", "Time", "Amount", "Use Chip", "Merchant Name"),
    *("Merchant City", "Merchant State", "Zip", "MCC", "Errors?", "Is Fraud?"),
)
_WAYS = ("Chip Transaction", "Swipe Transaction", "Online Transaction")

PAYSIM_TRANSACTIONS = """
contract: transactions
columns:
  transaction_id: {from_file: row_number}
  event_time: {from: step, unit: h, plus: 19723d, note: step 1 is 2024-01-01 01:00 UTC}
  user_id: nameOrig
  merchant_id: nameDest
  amount_minor: {from: amount, unit: major, currency_digits: 2, largest: 100000000}
  currency: {value: USD}
  payment_method:
    from: type
    values:
      CASH_IN: cash
      CASH_OUT: cash
      DEBIT: direct_debit
      PAYMENT: wallet
      TRANSFER: bank_transfer
"""
PAYSIM_LABELS = """
contract: labels
columns:
  transaction_id: {from_file: row_number}
  is_fraud: isFraud
  observed_at: {from: step, unit: h, plus: 19730d, note: a week after the payment}
"""
TABFORMER_TRANSACTIONS = """
contract: transactions
columns:
  transaction_id: {from_file: row_number}
  event_time:
    from: [Year, Month, Day, Time]
    join: "-"
    format: "%Y-%m-%d-%H:%M"
    timezone: America/Los_Angeles
  user_id: {from: [User, Card]}
  merchant_id: Merchant Name
  amount_minor: {from: Amount, unit: major, currency_digits: 2, currency_sign: ["$"]}
  currency: {value: USD}
  payment_method:
    from: Use Chip
    values:
      Chip Transaction: card_present
      Swipe Transaction: card_present
      Online Transaction: card_not_present
  declined_from:
    from: [Year, Month, Day, Time]
    join: "-"
    format: "%Y-%m-%d-%H:%M"
    timezone: America/Los_Angeles
    when: {"Errors?": {present: true}}
"""
TABFORMER_LABELS = """
contract: labels
columns:
  transaction_id: {from_file: row_number}
  is_fraud: Is Fraud?
  observed_at:
    from: [Year, Month, Day, Time]
    join: "-"
    format: "%Y-%m-%d-%H:%M"
    timezone: America/Los_Angeles
    plus: 7d
"""


def write_paysim(folder: Path) -> None:
    """Payments by the hour, amounts of up to 9 x 10^7, no ids; accounts that are emptied."""
    random = np.random.default_rng(1)
    steps = np.sort(random.integers(1, PAYSIM_STEPS + 1, PAYSIM_ROWS))
    rows: list[list[object]] = []
    for number, step in enumerate(steps.tolist()):
        is_fraud = bool(random.random() < 0.04)
        kind = str(random.choice(["CASH_OUT", "TRANSFER"] if is_fraud else _TYPES))
        amount = round(float(random.lognormal(14.0 if is_fraud else 10.5, 1.2)), 2)
        amount = PAYSIM_LARGEST if number == PAYSIM_ROWS // 2 else min(amount, PAYSIM_LARGEST)
        before = amount if is_fraud else round(amount * float(random.uniform(0.5, 9.0)), 2)
        payer, payee = (int(number) for number in random.integers(10**8, 10**8 + 1_500, 2))
        letter = "M" if kind == "PAYMENT" else "C"
        rows.append(
            [
                step,
                kind,
                amount,
                f"C{payer}",
                before,
                round(max(before - amount, 0.0), 2),
                f"{letter}{payee}",
                0.0,
                amount,
                int(is_fraud),
                int(is_fraud and amount > 10**7),
            ]
        )
    write_csv(folder / "paysim.csv", _PAYSIM, rows)
    write_texts(
        folder,
        {"paysim_transactions": PAYSIM_TRANSACTIONS, "paysim_labels": PAYSIM_LABELS},
    )


def write_tabformer(folder: Path) -> None:
    """Cards of users sorted by user, signed shops of 64 bits, `$` before amounts, refunds, words
    for flags, and minutes of a local time whose clock change repeats an hour."""
    random = np.random.default_rng(2)
    shops = random.integers(-(2**63), 2**63 - 1, 60).tolist()
    start = np.datetime64("2019-09-20T00:00")
    rows: list[list[object]] = []
    for number in range(TABFORMER_ROWS):
        user, card = number * 40 // TABFORMER_ROWS, int(random.integers(0, 3))
        when = (start + int(random.integers(0, TABFORMER_DAYS * 1440))).item()
        is_fraud = bool(random.random() < 0.05)
        shop = shops[int(random.integers(50, 60) if is_fraud else random.integers(0, 55))]
        amount = float(random.lognormal(5.5 if is_fraud else 3.2, 0.8))
        is_refund = not is_fraud and number % 25 == 3
        money = f"$-{round(amount):d}.00" if is_refund else f"${amount:.2f}"
        is_online = is_fraud or number % 4 == 0
        address = ["ONLINE", "", ""] if is_online else ["La Verne", "CA", "91750.0"]
        error = ("Insufficient Balance", '"Bad PIN,Insufficient Balance"')[number % 2]
        rows.append(
            [
                user,
                card,
                when.year,
                when.month,
                when.day,
                f"{when:%H:%M}",
                money,
                _WAYS[2] if is_online else _WAYS[number % 2],
                shop,
                *address,
                5300 + number % 9,
                error if number % 60 == 5 else "",
                "Yes" if is_fraud else "No",
            ]
        )
    write_csv(folder / "tabformer.csv", _TABFORMER, rows)
    write_texts(
        folder,
        {"tabformer_transactions": TABFORMER_TRANSACTIONS, "tabformer_labels": TABFORMER_LABELS},
    )
