"""Hypothesis streams of payments with everything that goes wrong in real ones."""

import math

from hypothesis import strategies as st

from lib.feature.windows import DAY, HOUR, MINUTE, SECOND

START = 1_700_000_000 * SECOND
_GAPS = st.one_of(
    st.just(0),
    st.integers(0, 90 * SECOND),
    st.integers(0, 3 * HOUR),
    st.sampled_from([MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY]),
    st.integers(0, 40 * DAY),
)
_PLACES = st.sampled_from(
    [(48.2, 16.37), (48.21, 16.4), (-36.8, 179.9), (-36.8, -179.9), (90.0, 0.0), (51.5, -0.1)]
)


@st.composite
def payments(draw: st.DrawFn, max_size: int = 24) -> list[dict]:
    """Payments of few users, merchants and devices: ties, gaps, late arrivals, late facts."""
    clock = START
    stream = []
    for number in range(draw(st.integers(1, max_size))):
        clock += draw(_GAPS)
        late = draw(st.sampled_from([0, 0, 0, 1, MINUTE, 2 * HOUR, 2 * DAY]))
        location = draw(st.one_of(st.none(), _PLACES)) or (math.nan, math.nan)
        stream.append(
            {
                "transaction_id": f"t{number:03d}",
                "event_time": clock,
                "received_at": clock + late,
                "user_id": draw(st.sampled_from(["u1", "u2"])),
                "merchant_id": draw(st.sampled_from(["m1", "m2", "m3"])),
                "device_id": draw(st.sampled_from([None, "d1", "d2"])),
                "amount_minor": draw(st.one_of(st.integers(0, 50_000), st.just(100_000_000))),
                "payment_method": draw(st.sampled_from(["wallet", "card_present", "barter"])),
                "latitude": location[0],
                "longitude": location[1],
                **_facts(draw, clock),
            }
        )
    return stream


def _facts(draw: st.DrawFn, clock: int) -> dict[str, int | None]:
    delay = st.sampled_from([0, 1, HOUR, 3 * DAY, 7 * DAY, 20 * DAY])
    fraud_from = clock + draw(delay) if draw(st.booleans()) else None
    withdrawn = fraud_from is not None and draw(st.integers(0, 4)) == 0
    return {
        "fraud_from": fraud_from,
        "fraud_until": fraud_from + 1 + draw(delay) if withdrawn else None,
        "declined_from": clock + draw(delay) if draw(st.integers(0, 3)) == 0 else None,
    }
