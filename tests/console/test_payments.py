"""Payments as the console reads them: search, one payment, what it is connected with."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.console.connections import count_similar, read_connected, read_graph
from lib.console.decision_search import Bounds, DecisionFilter
from lib.console.payment import read_payment
from lib.console.payments import label_state, payments_csv, read_payments
from lib.console.sketch import distance_km, ring_dots, sketch_ground
from lib.fraud.outcomes import AMOUNT
from lib.records import Records
from tests.console.seeded import NOW, Seeded
from tests.console.seeded_payments import (
    AT,
    AT_MERCHANT,
    EARLIER,
    FRAUDS,
    ON_DEVICE,
    RULE,
    label,
    payment,
)
from tests.records.conftest import SECOND, keep_decisions
from tests.records.review_factories import HOUR

MAIN, CUSTOMER, DEVICE, MERCHANT = "t9000", "t9100", "t9200", "t9300"
OF_DEVICE = [f"t{number}" for number in ON_DEVICE]


def ids(seeded: Seeded, sought: DecisionFilter, most: int = 1_000) -> list[str]:
    with seeded.source() as source:
        return [listed.id for listed in read_payments(source, sought, most, None, "").payments]


def test_a_search_by_customer_finds_all_of_the_customer_latest_first(lived: Seeded) -> None:
    expected = [MAIN, *(f"t{number}" for number in EARLIER)]
    assert ids(lived, DecisionFilter(entity_id=CUSTOMER)) == expected
    assert ids(lived, DecisionFilter(entity_id="nobody")) == []
    assert ids(lived, DecisionFilter(subject_id=MAIN)) == [MAIN]
    assert ids(lived, DecisionFilter(subject_id="nothing")) == []


@pytest.mark.parametrize(
    ("sought", "expected"),
    [
        (DecisionFilter(named={"device_id": DEVICE}, since=AT), [*OF_DEVICE[:1:-1], MAIN][:4]),
        (DecisionFilter(amounts={AMOUNT: Bounds(41_250)}), [MAIN]),
        (DecisionFilter(amounts={AMOUNT: Bounds(9_900, 9_901)}), [OF_DEVICE[1], OF_DEVICE[0]]),
        (DecisionFilter(score=Bounds(0.62, 0.7), decision="REVIEW"), [MAIN]),
        (
            DecisionFilter(named={"merchant_id": MERCHANT}, until=AT, since=AT - 2 * HOUR),
            [f"t{number}" for number in AT_MERCHANT[:2]],
        ),
    ],
)
def test_a_search_by_anything_else_finds_what_fits(
    lived: Seeded, sought: DecisionFilter, expected: list[str]
) -> None:
    assert sorted(ids(lived, sought)) == sorted(expected)


@pytest.mark.parametrize(
    "sought",
    [
        DecisionFilter(),
        DecisionFilter(entity_id=CUSTOMER),
        DecisionFilter(decision="APPROVE"),
    ],
)
def test_parts_of_a_search_are_the_whole_once(lived: Seeded, sought: DecisionFilter) -> None:
    entire, parts, before = ids(lived, sought), list[str](), None
    with lived.source() as source:
        for _ in range(100):
            part = read_payments(source, sought, 7, before, "")
            parts += [listed.id for listed in part.payments]
            before = part.after
            if before is None:
                break
    assert parts == entire
    assert len(set(entire)) == len(entire) > 7


def test_a_search_that_looks_through_enough_says_where_it_goes_on(
    own: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.console.decision_search.SCANNED", 30)
    sought, listed, cuts, before = DecisionFilter(named={"device_id": DEVICE}), [], 0, None
    with own.source() as source:
        for _ in range(100):
            part = read_payments(source, sought, 50, before, "")
            listed += [line.id for line in part.payments]
            cuts += part.is_cut
            before = part.after
            if before is None:
                break
    own_earlier = [f"t{number}" for index, number in enumerate(EARLIER) if index % 2 == 0]
    assert sorted(listed) == sorted([MAIN, *OF_DEVICE, *own_earlier])
    assert cuts > 1


def test_a_label_is_what_became_known_last(lived: Seeded) -> None:
    facts = [label("p", True, 10), label("p", False, 20)]
    state = label_state(facts, None)
    assert state is not None
    assert (state.is_fraud, state.at, state.word) == (False, 20, "not fraud")
    assert label_state([], None) is None


def test_the_export_is_safe_for_spreadsheets(own: Seeded) -> None:
    hostile = payment("=cmd|' /C calc'!A0", AT, ("@SUM(1)", 'a"b,c', None), 5)
    with Records(own.records("fraud")) as records:
        keep_decisions(records, [hostile])
    with own.source() as source:
        listed = read_payments(source, DecisionFilter(entity_id="@SUM(1)"), 10, None, "").payments
        (row,) = csv.DictReader(io.StringIO(payments_csv(listed)))
    assert row["payment"].startswith("'=")
    assert (row["customer"], row["merchant"], row["device"]) == ("'@SUM(1)", 'a"b,c', "")
    assert (row["amount"], row["label"], row["waits"]) == ("0.05", "", "no")


def test_a_payment_shows_why_it_was_decided_so(lived: Seeded) -> None:
    with lived.source() as source:
        shown = read_payment(source, MAIN, "ann", NOW)
        assert read_payment(source, "nothing", "ann", NOW) is None
    assert shown is not None
    assert shown.payment.amount == "412.50"
    assert [(line.decision, line.value) for line in shown.thresholds] == [
        ("REVIEW", 0.4),
        ("DECLINE", 0.9),
    ]
    assert shown.score_x is not None
    assert shown.thresholds[0].x < shown.score_x < shown.thresholds[1].x
    assert shown.reasons[0].words == "Frauds reported from this device"
    active = shown.rules[0]
    assert (active.id, active.decided, active.fields) == (
        RULE,
        True,
        frozenset({"fraud_rate_by_device_30d"}),
    )
    assert [rule.status for rule in shown.rules] == ["active", "shadow"]
    assert shown.has_rule_texts
    assert [line.name for line in shown.features if line.fired] == ["fraud_rate_by_device_30d"]
    assert shown.features[0].fired == (RULE,)
    assert {line.name for line in shown.features if line.value is None} == {"velocity_kmh"}


def test_a_payment_stands_among_those_of_its_customer_and_on_the_ground(lived: Seeded) -> None:
    with lived.source() as source:
        shown = read_payment(source, "t9032", "ann", NOW)
    assert shown is not None
    timeline = [line.id for line in shown.timeline]
    assert timeline == [MAIN, *(f"t{number}" for number in EARLIER)]
    assert shown.points[0].payment.id == "t9032"
    assert shown.points[0].km == 0.0
    munich = next(point for point in shown.points if point.payment.id == MAIN)
    assert munich.km == pytest.approx(504, abs=15)
    assert munich.y > shown.points[0].y, "it lies to the south"


def test_a_payment_of_which_little_is_recorded_is_shown(lived: Seeded) -> None:
    with lived.source() as source:
        shown = read_payment(source, "t1", "ann", NOW)
    assert shown is not None
    assert (shown.payment.amount, shown.ground, shown.rules[0].status) == ("", None, "shadow")


def test_the_graph_has_the_customer_in_the_middle_and_frauds_marked(lived: Seeded) -> None:
    with lived.source() as source:
        decision = source.records.find_decision(MAIN)
        assert decision is not None
        graph = read_graph(source, decision, "ann")
    nodes = {(node.word, node.id): node for node in graph.nodes}
    assert len(graph.nodes) == len(nodes) <= 40
    assert graph.nodes[0].id == CUSTOMER
    assert nodes["device", DEVICE].frauds == 2
    assert nodes["merchant", MERCHANT].frauds == 1
    assert nodes["customer", "t9101"].frauds == 1
    assert nodes["customer", "t9110"].frauds == 1, "defrauded at the same merchant"
    assert ("customer", "t9111") not in nodes, "at the same merchant, and no fraud"
    dots = {node.dot for node in graph.nodes}
    assert len(dots) == len(graph.nodes)
    assert all(link.start in dots and link.end in dots for link in graph.links)
    assert sum(link.frauds for link in graph.links) >= 3


def test_similar_payments_are_counted_by_what_they_became(lived: Seeded) -> None:
    with lived.source() as source:
        decision = source.records.find_decision(MAIN)
        assert decision is not None
        counts = {count.words: count for count in count_similar(source, decision)}
    customer, device = counts["same customer"], counts["same device"]
    assert (customer.frauds, customer.fine, customer.unknown) == (0, 1, len(EARLIER) - 1)
    assert customer.share == 0.0
    assert device.frauds == 2
    assert (counts["same merchant"].frauds, counts["same merchant"].fine) == (1, 3)
    assert counts[f"rule {RULE}"].share is None
    assert "score from 0.60 to 0.65" in counts


@pytest.mark.parametrize(
    ("names", "days", "expected"),
    [
        (["device_id"], 7, {*OF_DEVICE[2:], "t9030", "t9032", "t9034", "t9036"}),
        (["user_id"], 30, {f"t{number}" for number in EARLIER}),
        (["merchant_id"], 1, {"t9021", "t9022", "t9023", "t9024", "t9030", "t9033", "t9036"}),
    ],
)
def test_what_is_connected_is_listed_with_its_amount(
    lived: Seeded, names: list[str], days: int, expected: set[str]
) -> None:
    with lived.source() as source:
        decision = source.records.find_decision(MAIN)
        assert decision is not None
        shown = read_connected(source, decision, names, days, "ann", NOW)
    assert shown.payments[0].id == MAIN
    assert {line.id for line in shown.payments} == {MAIN, *expected}
    assert shown.total == sum(line.amount_minor or 0 for line in shown.payments)
    assert not {line.id for line in shown.payments} & {f"t{number}" for number in FRAUDS}
    assert (shown.busy, shown.has_more) == (0, False)


def test_more_than_can_be_labelled_together_is_told(own: Seeded) -> None:
    many = [
        payment(f"m{number}", AT + number * SECOND, ("u-many", "m", DEVICE))
        for number in range(200)
    ]
    with Records(own.records("fraud")) as records:
        keep_decisions(records, many)
    with own.source() as source:
        decision = source.records.find_decision(MAIN)
        assert decision is not None
        shown = read_connected(source, decision, ["device_id"], 7, "ann", NOW)
    assert (len(shown.payments), shown.has_more) == (150, True)


latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


@given(st.lists(st.tuples(latitudes, longitudes), min_size=1, max_size=12))
@settings(deadline=None)
def test_every_point_lies_on_the_drawing_and_to_scale(
    points: list[tuple[float, float]],
) -> None:
    sketch = sketch_ground(points)
    assert sketch is not None
    assert all(0 <= dot.x <= 640 and 0 <= dot.y <= 300 for dot in sketch.dots)
    assert (sketch.dots[0].x, sketch.dots[0].y) == (320, 150)
    per_km = sketch.bar_width / sketch.bar_km
    for dot, point in zip(sketch.dots, points, strict=True):
        drawn = ((dot.x - 320) ** 2 + (dot.y - 150) ** 2) ** 0.5
        assert drawn == pytest.approx(distance_km(points[0], point) * per_km, abs=25)


@given(st.integers(0, 20), st.integers(0, 18))
def test_no_two_nodes_of_a_graph_lie_on_one_spot(inner: int, outer: int) -> None:
    dots = [dot for ring in ring_dots(inner, outer) for dot in ring]
    assert len(set(dots)) == inner + outer
    assert all(0 < dot.x < 640 and 0 < dot.y < 460 for dot in dots)
