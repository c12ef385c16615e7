"""The contracts of payments and their labels, and what is known of a payment at which time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import (
    MINOR_UNITS,
    TIME,
    Column,
    Contract,
    MatchCounts,
    Precedes,
    measure_column,
    text_column,
    time_column,
)
from lib.contract.coercion import as_array

LARGEST_AMOUNT_MINOR = 10**8
LONGEST_PAYMENT_METHOD_BYTES = 64
LATITUDE = (-90.0, 90.0)
LONGITUDE = (-180.0, 180.0)
# A terminal's clock may run ahead of ours; more than an hour is a fault of the record.
CLOCK_SLACK_US = 3_600_000_000


def _degrees(name: str, limits: tuple[float, float]) -> Column:
    return measure_column(name, "where it was made, WGS 84", *limits, unit="deg")


TRANSACTIONS = Contract(
    name="transactions",
    columns=(
        text_column("transaction_id", "names the payment; a retry carries the same"),
        time_column("event_time", "when the payment was made"),
        time_column("received_at", "when it reached us", required=False, fallback="event_time"),
        text_column("user_id", "who pays"),
        text_column("merchant_id", "who is paid"),
        text_column("device_id", "the device that paid, where one is known", required=False),
        Column(
            "amount_minor",
            pa.int64(),
            "amount in the settlement currency",
            unit=MINOR_UNITS,
            low=0,
            high=LARGEST_AMOUNT_MINOR,
        ),
        Column("currency", pa.string(), "ISO 4217 code the payment was made in", max_length=3),
        text_column(
            "payment_method",
            "how it was paid (card, wallet, transfer, ...)",
            length=LONGEST_PAYMENT_METHOD_BYTES,
        ),
        _degrees("latitude", LATITUDE),
        _degrees("longitude", LONGITUDE),
        time_column("declined_from", "when the issuer's refusal became known", required=False),
    ),
    key=("transaction_id",),
    retry_may_differ=("received_at",),
    first_by=("received_at", "event_time"),
    together=(("latitude", "longitude"),),
    precedes=(
        Precedes("event_time", "received_at", CLOCK_SLACK_US),
        Precedes("event_time", "declined_from", CLOCK_SLACK_US),
    ),
    takes_attributes=True,
)

LABELS = Contract(
    name="labels",
    columns=(
        text_column("transaction_id", "the payment that the label is about"),
        Column("is_fraud", pa.bool_(), "true: fraud; false: found good, or a label withdrawn"),
        time_column("observed_at", "when it became known"),
    ),
    key=("transaction_id", "observed_at"),
)

CONTRACTS = (TRANSACTIONS, LABELS)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Payments with what became known about them, and what the labels were worth.

    Attributes:
        table: the payments with `fraud_from` and `fraud_until` (and `declined_from`, null where
            the payments had none); row order kept.
        known_frauds: payments that are fraud by their last label.
        withdrawn: payments once called fraud whose last label takes it back.
        matches: label rows, and those about payments that are not in the table.
        before_payment: label rows observed before their payment was made.
    """

    table: pa.Table
    known_frauds: int
    withdrawn: int
    matches: MatchCounts
    before_payment: int


def join_labels(transactions: pa.Table, labels: pa.Table) -> Labelled:
    """Give each payment the interval in which it is known as fraud: [fraud_from, fraud_until).

    Labels of a payment are read in the order they were observed; of two at the same microsecond
    the one that says fraud is read last. The interval starts with the first label of the last
    unbroken run of `true` and ends with the `false` that follows it, if one does: of a payment
    called fraud, cleared and called fraud again only the second interval is kept. A `false` with
    no `true` before it says nothing new.

    Args:
        transactions: checked against `TRANSACTIONS`; unique transaction_id.
        labels: checked against `LABELS`.
    """
    ids = as_array(transactions["transaction_id"])
    payment = _payment_of(ids, as_array(labels["transaction_id"]))
    is_matched = payment >= 0
    payment = payment[is_matched]
    observed = as_array(labels["observed_at"]).cast(pa.int64()).to_numpy()[is_matched]
    says_fraud = as_array(labels["is_fraud"]).to_numpy(zero_copy_only=False)[is_matched]
    paid_at = as_array(transactions["event_time"]).cast(pa.int64()).to_numpy()
    begin, end = _intervals(payment, observed, says_fraud.astype(np.bool_), len(ids))
    table = _with_times(transactions, "fraud_from", begin)
    table = _with_times(table, "fraud_until", end)
    if "declined_from" not in table.column_names:
        table = table.append_column("declined_from", pa.nulls(table.num_rows, TIME))
    return Labelled(
        table=table,
        known_frauds=int(((begin >= 0) & (end < 0)).sum()),
        withdrawn=int((end >= 0).sum()),
        matches=_matches(labels, is_matched, ids),
        before_payment=int((observed < paid_at[payment]).sum()),
    )


def _payment_of(ids: pa.Array, label_ids: pa.Array) -> npt.NDArray[np.int64]:
    """(labels,) index of each label's payment among `ids`, the first of its id; -1 for none."""
    # the ids of labels, of which there are fewer, are what is searched
    encoded = label_ids.dictionary_encode()
    codes = pc.index_in(ids, value_set=encoded.dictionary)
    matched = np.flatnonzero(pc.is_valid(codes).to_numpy(zero_copy_only=False))
    payment = np.full(len(encoded.dictionary), -1, dtype=np.int64)
    payment[codes.drop_null().to_numpy()[::-1]] = matched[::-1]  # the first of an id stays
    return np.asarray(payment[encoded.indices.to_numpy()])


def _matches(labels: pa.Table, is_matched: npt.NDArray[np.bool_], ids: pa.Array) -> MatchCounts:
    unknown = np.flatnonzero(~is_matched)
    return MatchCounts(
        rows=labels.num_rows,
        unmatched=int(unknown.size),
        example=str(labels["transaction_id"][int(unknown[0])]) if unknown.size else "",
        subject_example=str(ids[0]) if len(ids) else "",
    )


def _intervals(
    payment: npt.NDArray[np.int64],
    observed: npt.NDArray[np.int64],
    says_fraud: npt.NDArray[np.bool_],
    payments: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start and end per payment, -1 where there is none; one pass over labels in order."""
    begin = np.full(payments, -1, dtype=np.int64)
    end = np.full(payments, -1, dtype=np.int64)
    order = np.lexsort((says_fraud, observed, payment))
    payment, observed, says_fraud = payment[order], observed[order], says_fraud[order]
    # Of several labels at one microsecond the last alone counts.
    last = np.append((payment[1:] != payment[:-1]) | (observed[1:] != observed[:-1]), True)
    last = last[: payment.size]
    payment, observed, says_fraud = payment[last], observed[last], says_fraud[last]
    before = np.zeros(payment.size, dtype=np.bool_)
    before[1:] = says_fraud[:-1] & (payment[1:] == payment[:-1])
    starts, ends = says_fraud & ~before, ~says_fraud & before
    # Later assignments win, so the last run of each payment stays.
    begin[payment[starts]] = observed[starts]
    end[payment[ends]] = observed[ends]
    end[end < begin] = -1
    return begin, end


def _with_times(table: pa.Table, name: str, microseconds: npt.NDArray[np.int64]) -> pa.Table:
    times = pa.array(microseconds, mask=microseconds < 0).cast(TIME)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, times)
    return table.append_column(name, times)
