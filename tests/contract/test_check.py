"""What a contract does with good rows, bad rows, retries and wrong tables."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from lib.contract import QUARANTINE_REASON, TIME, ContractError
from tests.contract.factories import PARCELS

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def parcel(parcel_id: str = "p1", **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "parcel_id": parcel_id,
        "sent_at": NOON,
        "arrived_at": NOON + timedelta(hours=5),
        "weight_kg": 1.5,
        "postage_minor": 499,
        "kind": "small",
        "fragile": True,
        "latitude": 52.5,
        "longitude": 13.4,
    }
    return row | changes


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=PARCELS.schema)


def test_good_rows_pass_unchanged():
    checked = PARCELS.check(table(parcel("p1"), parcel("p2")))
    assert checked.good == table(parcel("p1"), parcel("p2"))
    assert checked.quarantined.num_rows == 0
    assert (checked.reasons, checked.repeats, checked.rows_in) == ({}, 0, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parcel_id": None}, "parcel_id: missing"),
        ({"parcel_id": ""}, "parcel_id: empty"),
        ({"parcel_id": "p" * 13}, "parcel_id: longer than 12 bytes"),
        ({"sent_at": None, "arrived_at": None}, "sent_at: missing"),
        ({"sent_at": datetime(1970, 1, 1, tzinfo=UTC)}, "sent_at: below 1990-01-01 UTC"),
        ({"arrived_at": datetime(2150, 1, 1, tzinfo=UTC)}, "arrived_at: above 2100-01-01 UTC"),
        ({"weight_kg": float("nan")}, "weight_kg: not a number"),
        ({"weight_kg": float("inf")}, "weight_kg: infinite"),
        ({"weight_kg": -0.5}, "weight_kg: below 0.0 kg"),
        ({"postage_minor": -1}, "postage_minor: below 0 minor units"),
        (
            {"postage_minor": 10**8 + 1},
            "postage_minor: above 100,000,000 minor units; a mapping's 'largest' raises it",
        ),
        ({"kind": "huge"}, "kind: not one of small, large"),
        ({"latitude": 200.0}, "latitude: above 90.0"),
        ({"longitude": None}, "latitude, longitude: only some of these are given"),
        ({"arrived_at": NOON - timedelta(hours=2)}, "sent_at: after arrived_at"),
    ],
)
def test_a_bad_row_goes_to_the_quarantine_with_its_reason(changes, reason):
    checked = PARCELS.check(table(parcel("good"), parcel(**changes)))
    assert checked.reasons == {reason: 1}
    assert checked.quarantined[QUARANTINE_REASON].to_pylist() == [reason]
    assert checked.good["parcel_id"].to_pylist() == ["good"]


def test_bounds_themselves_are_allowed():
    edges = (parcel("a", latitude=90.0, longitude=-180.0), parcel("b", postage_minor=0))
    assert PARCELS.check(table(*edges)).good.num_rows == 2


def test_a_clock_may_run_ahead_within_the_slack():
    early = parcel(arrived_at=NOON - timedelta(minutes=59))
    assert PARCELS.check(table(early)).good.num_rows == 1


def test_nan_in_an_optional_column_means_missing():
    checked = PARCELS.check(table(parcel(latitude=float("nan"), longitude=float("nan"))))
    assert checked.good["latitude"].to_pylist() == [None]


def test_an_absent_optional_column_is_null_and_a_fallback_stands_in():
    bare = table(parcel()).drop_columns(["arrived_at", "fragile"])
    good = PARCELS.check(bare).good
    assert good.schema == PARCELS.schema
    assert good["arrived_at"].to_pylist() == [NOON]
    assert good["fragile"].to_pylist() == [None]


def test_an_exact_retry_is_dropped_and_counted():
    later = parcel(arrived_at=NOON + timedelta(hours=6))
    checked = PARCELS.check(table(later, parcel(), parcel("p2")))
    assert checked.repeats == 1
    assert checked.quarantined.num_rows == 0
    assert checked.good["arrived_at"].to_pylist()[0] == NOON + timedelta(hours=5)


def test_a_retry_with_other_content_is_quarantined_and_the_first_stays():
    checked = PARCELS.check(table(parcel(), parcel(postage_minor=1)))
    assert checked.reasons == {"parcel_id: came before with other content": 1}
    assert checked.good["postage_minor"].to_pylist() == [499]


def test_a_retry_that_repeats_missing_values_is_still_a_retry():
    empty = {"latitude": float("nan"), "longitude": None, "fragile": None}
    checked = PARCELS.check(table(parcel(**empty), parcel(**(empty | {"latitude": None}))))
    assert (checked.repeats, checked.reasons) == (1, {})


def test_a_bad_first_attempt_does_not_cost_the_good_second():
    checked = PARCELS.check(table(parcel(weight_kg=-1.0), parcel()))
    assert checked.good["weight_kg"].to_pylist() == [1.5]
    assert checked.repeats == 0


def test_the_quarantine_keeps_columns_that_the_contract_does_not_know():
    wider = table(parcel(weight_kg=-1.0)).append_column("note", pa.array(["wet"]))
    quarantined = PARCELS.check(wider).quarantined
    assert quarantined["note"].to_pylist() == ["wet"]
    assert quarantined.column_names == [*wider.column_names, QUARANTINE_REASON]


def test_several_reasons_are_counted_most_frequent_first():
    rows = [parcel(f"w{n}", weight_kg=-1.0) for n in range(3)] + [parcel("k", kind="huge")]
    assert list(PARCELS.check(table(*rows)).reasons.items()) == [
        ("weight_kg: below 0.0 kg", 3),
        ("kind: not one of small, large", 1),
    ]


def test_a_missing_required_column_stops_at_once_and_suggests_the_nearest():
    renamed = table(parcel()).rename_columns({"weight_kg": "weight_kgs"})
    with pytest.raises(ContractError) as stopped:
        PARCELS.check(renamed)
    message = str(stopped.value)
    assert "contract 'parcels' needs column 'weight_kg' (double: weight)" in message
    assert "did you mean 'weight_kgs'?" in message
    assert "columns: {weight_kg: {from: ...}}" in message


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("sent_at", pa.array([NOON.replace(tzinfo=None)]), "which time zone its times are in"),
        ("postage_minor", pa.array([4.99]), "unit: major, currency_digits: 2"),
        ("parcel_id", pa.array([7]), "expected string, came int64"),
        ("weight_kg", pa.array(["1.5"]), "expected double (kg), came string"),
        ("postage_minor", pa.array([1], pa.uint64()), "came uint64"),
    ],
)
def test_a_wrong_type_stops_at_once_and_says_what_to_do(name, values, words):
    good = table(parcel())
    wrong = good.set_column(good.column_names.index(name), name, values)
    with pytest.raises(ContractError, match=f"column '{name}' of contract 'parcels'") as stopped:
        PARCELS.check(wrong)
    assert words in str(stopped.value)


def test_narrower_types_widen_without_loss():
    good = table(parcel())
    narrow = (
        good.set_column(4, "postage_minor", pa.array([499], pa.int16()))
        .set_column(3, "weight_kg", pa.array([1.5], pa.float32()))
        .set_column(1, "sent_at", good["sent_at"].cast(pa.timestamp("ms", "Europe/Berlin")))
        .set_column(0, "parcel_id", pa.array(["p1"]).dictionary_encode())
    )
    assert PARCELS.check(narrow).good == good


def test_a_column_of_nulls_takes_any_type():
    good = table(parcel(fragile=None)).drop_columns(["fragile"])
    checked = PARCELS.check(good.append_column("fragile", pa.nulls(1)))
    assert checked.good["fragile"].type == pa.bool_()


def test_an_empty_table_is_checked_too():
    checked = PARCELS.check(PARCELS.schema.empty_table())
    assert (checked.good.num_rows, checked.rows_in) == (0, 0)
    assert checked.good.schema.field("sent_at").type == TIME


def test_an_unknown_column_of_a_contract_is_refused_with_a_suggestion():
    with pytest.raises(ContractError, match="did you mean 'weight_kg'"):
        PARCELS["wieght_kg"]


def test_whole_numbers_that_no_float_equals_are_compared_with_bounds():
    checked = PARCELS.check(table(parcel(), parcel("p2", postage_minor=2**53 + 2)))
    assert checked.good["parcel_id"].to_pylist() == ["p1"]
    (reason,) = checked.reasons
    assert reason.startswith("postage_minor: above")
