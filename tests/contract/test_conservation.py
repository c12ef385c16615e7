"""No row is ever lost: good, quarantined and dropped retries add up to what came."""

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import QUARANTINE_REASON, TIME, parse_mapping
from tests.contract.factories import PARCELS

MICROSECONDS = st.integers(-(2**62), 2**62)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "parcel_id": st.sampled_from(["a", "b", "c", "", None, "d" * 20]),
            "sent_at": st.one_of(st.none(), st.just(1_700_000_000_000_000), MICROSECONDS),
            "arrived_at": st.one_of(st.none(), st.just(1_700_000_000_000_000), MICROSECONDS),
            "weight_kg": st.one_of(st.none(), st.just(1.0), st.floats()),
            "postage_minor": st.sampled_from([0, 499, -1, 10**9, None]),
            "kind": st.sampled_from(["small", "large", "huge", None]),
            "fragile": st.sampled_from([True, False, None]),
            "latitude": st.one_of(st.none(), st.floats()),
            "longitude": st.one_of(st.none(), st.floats()),
        }
    ),
    max_size=30,
)


def parcels(rows: list[dict[str, object]]) -> pa.Table:
    columns = {
        field.name: pa.array(
            [row[field.name] for row in rows], pa.int64() if field.type == TIME else field.type
        ).cast(field.type)
        for field in PARCELS.schema
    }
    return pa.table(columns, schema=PARCELS.schema)


@given(ROWS)
def test_rows_are_conserved(rows):
    checked = PARCELS.check(parcels(rows))
    assert checked.rows_in == len(rows)
    assert checked.good.num_rows + checked.quarantined.num_rows + checked.repeats == len(rows)
    reasons = Counter(checked.quarantined[QUARANTINE_REASON].to_pylist())
    assert checked.reasons == reasons
    assert None not in reasons


@given(ROWS, ROWS)
def test_rows_that_passed_are_judged_by_their_keys_as_if_by_the_whole_check(rows, more):
    passed = pa.concat_tables([PARCELS.check(parcels(part)).good for part in (rows, more)])
    by_key, checked = PARCELS.check_keys(passed), PARCELS.check(passed)
    assert by_key.good.equals(checked.good)
    assert by_key.quarantined.equals(checked.quarantined)
    assert (by_key.reasons, by_key.repeats) == (checked.reasons, checked.repeats)


@given(ROWS)
def test_what_is_good_stays_good(rows):
    good = PARCELS.check(parcels(rows)).good
    again = PARCELS.check(good)
    assert again.good.num_rows == good.num_rows
    assert len(set(good["parcel_id"].to_pylist())) == good.num_rows


TEXTS = st.lists(
    st.fixed_dictionaries(
        {
            "ID": st.text(max_size=3),
            "SENT": st.one_of(st.none(), st.text(max_size=12), st.datetimes().map(str)),
            "WEIGHT": st.one_of(st.none(), st.text(max_size=6), st.floats().map(str)),
            "PAID": st.one_of(st.none(), st.text(max_size=6), st.decimals(places=2).map(str)),
        }
    ),
    min_size=1,
    max_size=20,
)

MAPPING = parse_mapping(
    """
    contract: parcels
    columns:
      parcel_id: ID
      sent_at: {from: SENT, timezone: Europe/Berlin}
      weight_kg: WEIGHT
      postage_minor: {from: PAID, unit: major, currency_digits: 2}
      kind: {value: small}
    """,
    [PARCELS],
)


@given(TEXTS)
def test_no_text_of_a_source_stops_a_mapping(rows):
    raw = pa.Table.from_pylist(
        rows, schema=pa.schema([(name, pa.string()) for name in ("ID", "SENT", "WEIGHT", "PAID")])
    )
    checked = MAPPING.check(raw)
    assert checked.good.num_rows + checked.quarantined.num_rows + checked.repeats == len(rows)
    assert checked.quarantined.column_names == ["ID", "SENT", "WEIGHT", "PAID", QUARANTINE_REASON]
