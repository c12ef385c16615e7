"""Money in the report has the decimals of the settlement currency."""

import numpy as np
import pytest

from lib.fraud.amounts import AmountScale
from lib.fraud.model.outcome import measure_outcome
from lib.fraud.model.policy import Costs, Policy
from lib.fraud.model.report_tables import money_blocks
from lib.report import Report, Section, render_page

COSTS = Costs(chargeback_fee_minor=0, blocked_fee_minor=0, blocked_share=0.5, review_minor=300)
APPROVED, BLOCKED = 1_234_500.0, 400_010.0


@pytest.mark.parametrize(
    ("digits", "cap", "lost", "spent", "saved", "unit"),
    [
        (0, "5,001", "1,234,500", "200,005", "-200,005", "1 minor units"),
        (2, "50.01", "12,345.00", "2,000.05", "-2,000.05", "100 minor units"),
        (3, "5.001", "1,234.500", "200.005", "-200.005", "1,000 minor units"),
        (4, "0.5001", "123.4500", "20.0005", "-20.0005", "10,000 minor units"),
    ],
)
def test_the_page_shows_all_decimals_of_the_currency_and_no_others(
    digits: int, cap: str, lost: str, spent: str, saved: str, unit: str
) -> None:
    outcome = measure_outcome(
        np.array([0, 2]),
        np.array([True, False]),
        np.array([APPROVED, BLOCKED]),
        1.0,
        Costs(**vars(COSTS) | {"running_minor_per_thousand": 0.0}),
    )
    blocks = money_blocks(
        Policy(0.1, 0.5, 5_001.0), {"ensemble": outcome}, COSTS, AmountScale(digits)
    )
    page = render_page(Report("Fraud", "", [Section("Money", blocks)], {}))
    assert f"amounts over {cap} are reviewed" in page
    for amount in (lost, spent, saved):
        assert f">{amount}</td>" in page
    assert f"{unit} are a unit of the currency" in page


def test_an_amount_as_text_has_the_decimals_of_its_currency() -> None:
    texts = [AmountScale(digits).text(-1_234_567) for digits in (0, 2, 3)]
    assert texts == ["-1,234,567", "-12,345.67", "-1,234.567"]
