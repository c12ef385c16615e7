"""The largest requests that each application admits, route by route; no two are the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.moderation.media.limits import Limits
from lib.moderation.post import LONGEST_TEXT, MOST_IMAGES
from lib.records.review.statements import MOST_STATED
from serve.churn.schemas import MOST_OUTCOMES, MOST_PLANNED, MOST_ROWS
from serve.churn.settings import ChurnSettings
from serve.framework.review_schemas import MOST_GOLDEN
from serve.fraud.schemas import MOST_LABELS
from serve.maintenance.schedule_schemas import MOST_PLANNED as MOST_PLANNED_MACHINES
from serve.maintenance.schemas import MOST_MACHINES, MOST_READINGS, MOST_SAMPLES
from serve.maintenance.settings import MaintenanceSettings
from serve.moderation.settings import ModerationSettings
from tests.moderation.media_factories import encoded, scene, video
from tests.serve.application import iso
from tests.serve.factories import label, moment, payment

SECOND = 1_000_000
MINUTE = 60 * SECOND
_SMALL_BODY, _LABELS_BODY, _RULES_TEXT = 64 * 1024, 1024 * 1024, 100_000
_NOTE = "n" * 7_500
_CLIP_SIDES, _CLIP_FRAMES = (1920, 1080), 75


@dataclass(frozen=True)
class LargeRequest:
    """A request to one route.

    Attributes:
        name: of the request.
        path: below the application's prefix.
        body: of the n-th request.
        status: of the answer.
        deadline_ms: after which the answer is a 504 instead; None is the route's own.
        most_ms: longest hold of the event loop that is accepted, milliseconds; more than 20 where
            one call into C reads, or frees, what a whole body holds.
    """

    name: str
    path: str
    body: Callable[[int], bytes]
    status: int = 200
    deadline_ms: int | None = None
    most_ms: float = 20.0

    @property
    def statuses(self) -> tuple[int, ...]:
        """What the answer may be."""
        return (self.status,) if self.deadline_ms is None else (self.status, 504)


def fraud_requests() -> list[LargeRequest]:
    """Payments and labels."""

    def labels(turn: int) -> bytes:
        several = [
            label(f"payment-{turn}-{number}", is_fraud=bool(number % 2))
            for number in range(MOST_LABELS)
        ]
        return padded(_json(several), _LABELS_BODY)

    def largest_payment(turn: int) -> bytes:
        ids = {name: f"{name}-{turn}-".ljust(120, "x") for name in ("user_id", "merchant_id")}
        return padded(_json(payment(event_time=moment(-1), **ids)), _SMALL_BODY)

    return [
        LargeRequest("payment", "/score_transaction", largest_payment),
        LargeRequest("labels", "/labels", labels),
    ]


def maintenance_requests(
    sensors: Sequence[str], at_us: int, week: Any, week_status: int = 200
) -> list[LargeRequest]:
    """Readings, predictions and weeks.

    Args:
        sensors: that the kind of machine declares.
        at_us: the present, microseconds since 1970 UTC.
        week: of a schedule.
        week_status: of the answer about the week.
    """
    most_bytes = MaintenanceSettings.model_fields["readings_body_bytes"].default

    def many_machines(turn: int) -> bytes:
        reading = {"event_time": iso(at_us - MINUTE), "sensors": {sensors[0]: 1.234}}
        each = int((most_bytes / MOST_MACHINES - 60) / (len(_json(reading)) + 1))
        machines = [
            _machine(f"many-{turn}-{number}", sensors[:1], each, at_us)
            for number in range(MOST_MACHINES)
        ]
        return padded(_json(machines), most_bytes)

    def long_machine(turn: int) -> bytes:
        return _json(_machine(f"long-{turn}", sensors, MOST_READINGS, at_us))

    def prediction(turn: int) -> bytes:
        return padded(_json({"machine_id": f"long-{turn}", "at": iso(at_us)}), _SMALL_BODY)

    def schedule(turn: int) -> bytes:
        sites = [
            {"machine_id": f"s{turn}-{number}", "plant": "p" * 20, "line": "l" * 20}
            for number in range(MOST_PLANNED_MACHINES)
        ]
        body = {"machines": sites, "week": week, "gap": 1.0, "seconds": 0.5}
        return padded(_json(body), most_bytes)

    return [
        LargeRequest("readings of 200 machines", "/readings", many_machines),
        LargeRequest("5,000 readings of a machine", "/readings", long_machine),
        LargeRequest("prediction after 5,000 readings", "/predict", prediction),
        LargeRequest("week of 5,000 machines", "/schedules", schedule, week_status, 6_000),
    ]


def waveform_requests(at_us: int) -> list[LargeRequest]:
    """Vibration recordings, for a kind of machine that has them."""
    most_bytes = MaintenanceSettings.model_fields["readings_body_bytes"].default

    def waveforms(turn: int) -> bytes:
        samples = [k % 7 for k in range(MOST_SAMPLES)]
        recording = {"sampling_rate_hz": 12_000, "samples": samples}
        count = most_bytes // (len(_json(recording)) + 100)
        recordings = [{"event_time": iso(at_us - k * MINUTE), **recording} for k in range(count)]
        return _json({"machine_id": f"loud-{turn}", "waveforms": recordings})

    return [LargeRequest("waveforms of 8 MiB", "/readings", waveforms)]


def churn_requests(at_us: int, customers: Sequence[str]) -> list[LargeRequest]:
    """Events, scores, plans and outcomes.

    Args:
        at_us: the present, microseconds since 1970 UTC.
        customers: that are known.
    """
    most_bytes = ChurnSettings.model_fields["events_body_bytes"].default

    def uses(turn: int) -> bytes:
        rows = [
            {
                "customer_id": f"c{turn}-{number % 500}",
                "event_time": iso(at_us - (number + 1) * SECOND),
                "user_id": f"u{number % 40}",
                "feature": "reports",
                "count": 1 + number % 5,
            }
            for number in range(MOST_ROWS)
        ]
        return padded(_json({"usage": rows}), most_bytes)

    def introduced(turn: int) -> bytes:
        start = iso(at_us - 200 * 86_400 * SECOND)
        rows = [
            {
                "customer_id": f"i{turn}-{number}",
                "event_time": start,
                "contract_start": start,
                "renewal_at": iso(at_us + 200 * 86_400 * SECOND),
                "segment": "small",
                "seats": 3,
                "mrr_minor": 1000,
            }
            for number in range(MOST_ROWS)
        ]
        return padded(_json({"customers": rows}), most_bytes)

    def score(turn: int) -> bytes:
        body = {"customer_id": customers[turn % len(customers)], "at": iso(at_us)}
        return padded(_json(body), _SMALL_BODY)

    def plan(turn: int) -> bytes:
        names = [*customers, *(f"p{turn}-{number}" for number in range(MOST_PLANNED))]
        body = {"plan_id": f"p{turn}", "hours": 100, "budget": 9e6}
        return padded(_json({**body, "customers": names[:MOST_PLANNED]}), most_bytes)

    def outcomes(turn: int) -> bytes:
        outcome = {"delivered": True, "observed_at": iso(at_us - SECOND), "note": _NOTE}
        several = [
            {"intervention_id": f"x{turn}-{number}", **outcome} for number in range(MOST_OUTCOMES)
        ]
        return padded(_json(several), most_bytes)

    return [
        LargeRequest("20,000 uses", "/events", uses, deadline_ms=4_000),
        LargeRequest("20,000 customers", "/events", introduced, deadline_ms=4_000),
        LargeRequest("score", "/score", score),
        LargeRequest("plan of 5,000 customers", "/interventions/plan", plan, deadline_ms=4_000),
        LargeRequest("1,000 outcomes with notes", "/outcomes", outcomes, 404),
    ]


def moderation_requests(listed_word: str) -> list[LargeRequest]:
    """Posts of each kind of content, and of all at once."""
    limits = Limits()
    most_bytes = ModerationSettings.model_fields["body_bytes"].default
    picture = _largest_image(limits)
    clip = _clip()

    def text_of(word: str) -> Callable[[int], bytes]:
        def body(turn: int) -> bytes:
            text = f"{turn} " + (word * (LONGEST_TEXT // len(word)))
            return _post(f"text-{word}-{turn}", text=text[:LONGEST_TEXT])

        return body

    def image(turn: int) -> bytes:
        return _post(f"image-{turn}", images=[_sent(picture + bytes([turn % 250]))])

    def images(turn: int) -> bytes:
        several = [
            _sent(picture[: limits.image_bytes // 6] + bytes([turn % 250, number]))
            for number in range(MOST_IMAGES)
        ]
        return _post(f"images-{turn}", images=several)

    def film(turn: int) -> bytes:
        return _post(f"video-{turn}", video=_sent(clip + bytes([turn % 250])))

    def largest(turn: int) -> bytes:
        most = (most_bytes - 1_000) * 3 // 4
        content = (clip + bytes([turn % 250])).ljust(most, b"\0")
        return padded(_post(f"largest-{turn}", video=_sent(content)), most_bytes)

    return [
        LargeRequest("text of 100,000 characters", "/posts", text_of("a word or two, ")),
        LargeRequest("text of listed words", "/posts", text_of(f"{listed_word} ")),
        LargeRequest("text that shows nothing", "/posts", text_of("\u200b")),
        LargeRequest("image of 20 MB", "/posts", image),
        LargeRequest("ten images", "/posts", images),
        LargeRequest("video", "/posts", film),
        LargeRequest("video in a body of 48 MiB", "/posts", largest, most_ms=40.0),
    ]


def review_requests(verdicts: Mapping[str, bool]) -> list[LargeRequest]:
    """What every system's queue and rules admit.

    Args:
        verdicts: on a subject of the system.
    """

    def golden(turn: int) -> bytes:
        answers = [
            {"subject_id": f"g{turn}-{number}", "verdicts": dict(verdicts)}
            for number in range(MOST_GOLDEN)
        ]
        return padded(_json({"reviewer": "bob", "answers": answers}), 1024 * 1024)

    def statement(turn: int) -> bytes:
        names = [f"s{turn}-{number}" for number in range(MOST_STATED)]
        body = {"statement_id": f"s{turn}", "reviewer": "bob", "verdicts": dict(verdicts)}
        return padded(_json({**body, "subject_ids": names}), 256 * 1024)

    return [
        LargeRequest("1,000 golden items", "/review/golden", golden, 404),
        LargeRequest("statement", "/review/statements", statement),
        LargeRequest("text of rules", "/rules/validate", _rules, most_ms=40.0),
    ]


def _rules(turn: int) -> bytes:
    lines, number = [f"version: {2 + turn}", "rules:"], 0
    while sum(map(len, lines)) < _RULES_TEXT:
        lines.append(f"  - {{id: r{number}, when: 'x > {number}', action: ALLOW, reason: none}}")
        number += 1
    return _json({"text": "\n".join(lines)})


def padded(body: bytes, most: int) -> bytes:
    """A body of JSON with spaces up to the largest that is admitted."""
    return body.ljust(most)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _machine(name: str, sensors: Sequence[str], count: int, at_us: int) -> dict[str, Any]:
    times = [iso(at_us - (count - k) * MINUTE) for k in range(count)]
    rng = np.random.default_rng(count)
    rows = rng.uniform(1.0, 2.0, (count, len(sensors))).round(3).tolist()
    return {
        "machine_id": name,
        "readings": [
            {"event_time": time, "sensors": dict(zip(sensors, row, strict=True))}
            for time, row in zip(times, rows, strict=True)
        ],
    }


def _post(name: str, **content: Any) -> bytes:
    return _json({"post_id": name, "author_id": f"by {name}", **content})


def _sent(content: bytes) -> dict[str, str]:
    return {"content": base64.b64encode(content).decode()}


def _largest_image(limits: Limits) -> bytes:
    """A JPEG of nearly as many bytes as an image may have, of 16 megapixels."""
    content = encoded(scene(1, 4_000), quality=90)
    return content.ljust(limits.image_bytes - 1, b"\0")


def _clip() -> bytes:
    """Three seconds in full HD."""
    width, height = _CLIP_SIDES
    picture = np.asarray(scene(3, width + _CLIP_FRAMES))
    frames = [np.ascontiguousarray(picture[:height, k : k + width]) for k in range(_CLIP_FRAMES)]
    return video(frames)
