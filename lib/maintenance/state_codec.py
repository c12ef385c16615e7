"""What is remembered of a machine between requests: thirty days of its past, in a few kilobytes.

The same `History` as offline, kept short. A reading may come late, twice, or too late; each is
counted, and none is averaged in silence.
"""

import json
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.maintenance.feature_set import AssetFeatureSet, FeatureError
from lib.maintenance.history import UNKNOWN_US, Floats, History, Ints, running

_MAGIC = b"FWM2"
_INTS = (
    *("times_us", "error_times_us", "error_codes", "service_times_us", "service_parts"),
    *("run_days", "run_counts", "wave_times_us"),
)


@dataclass(frozen=True)
class EventBatch:
    """What became of readings that came in.

    Attributes:
        new: remembered.
        late: of these, older than the newest that was known.
        repeated: known already, with the same values.
        contradicting: known already with other values; the first ones stay.
        too_old: older than anything that still counts.
        merged: of a time that was known, with values of sensors that had none then.
    """

    new: int
    late: int
    repeated: int
    contradicting: int
    too_old: int
    merged: int = 0


def empty_state(
    features: AssetFeatureSet, machine_id: str, installed_us: int = UNKNOWN_US
) -> History:
    """A machine of which nothing was read."""
    empty = np.empty((0, len(features.sensors)))
    waves = np.empty((0, len(features.wave_measures)))
    return History(
        machine_id,
        np.empty(0, np.int64),
        empty,
        installed_us=installed_us,
        wave_measures=waves,
    )


def with_readings(
    features: AssetFeatureSet, history: History, times_us: npt.ArrayLike, readings: npt.ArrayLike
) -> tuple[History, EventBatch]:
    """The past with more readings in it, and what became of each.

    Args:
        features: which sensors, and how far back they count.
        history: of the machine.
        times_us: (n,) microseconds UTC, any order.
        readings: (n, sensors), NaN where a sensor gave none.

    Raises:
        FeatureError: readings are not of the feature set's sensors.
    """
    times = np.asarray(times_us, dtype=np.int64)
    values = np.asarray(readings, dtype=np.float64)
    if values.shape != (len(times), len(features.sensors)):
        raise FeatureError(
            f"machine '{history.machine_id}': expected readings of shape "
            f"({len(times)}, {len(features.sensors)}), got {values.shape}"
        )
    newest = int(history.times_us[-1]) if len(history.times_us) else UNKNOWN_US
    oldest = max(newest, int(times.max(initial=UNKNOWN_US))) - features.kept_us
    young = times > oldest
    times, values = times[young], values[young]
    known = history.readings.copy()
    fresh, counts = _merge(history.times_us, known, times, values)
    times, values = times[fresh], values[fresh]
    all_times = np.concatenate([history.times_us, times])
    order = np.argsort(all_times, kind="stable")
    if counts["merged"]:
        # merged readings may say that a machine ran in hours that were not counted
        before = running(features, history.times_us, history.readings)
        history = _run(history, *before, -1)
        history = _run(history, *running(features, history.times_us, known), 1)
    new_history = replace(
        _run(history, *running(features, times, values), 1),
        times_us=all_times[order],
        readings=np.concatenate([known, values])[order],
    )
    late = int((times < newest).sum())
    received = EventBatch(len(times), late, too_old=int((~young).sum()), **counts)
    return _short(features, new_history), received


def with_errors(
    features: AssetFeatureSet, history: History, times_us: npt.ArrayLike, codes: list[str]
) -> History:
    """The past with more reports of the controller; a report that is known is not counted again.

    Raises:
        FeatureError: a code is not declared.
    """
    indices = [_index_of("error code", code, features.error_codes) for code in codes]
    times, kinds = _merged(history.error_times_us, history.error_codes, times_us, indices)
    return _short(features, replace(history, error_times_us=times, error_codes=kinds))


def with_services(
    features: AssetFeatureSet,
    history: History,
    times_us: npt.ArrayLike,
    components: list[str | None],
) -> History:
    """The past with more services; None is a service of the whole machine.

    Raises:
        FeatureError: a component is not declared.
    """
    indices = [
        -1 if part is None else _index_of("component", part, features.components)
        for part in components
    ]
    times, parts = _merged(history.service_times_us, history.service_parts, times_us, indices)
    return _short(features, replace(history, service_times_us=times, service_parts=parts))


def with_waveforms(
    features: AssetFeatureSet, history: History, times_us: npt.ArrayLike, measures: npt.ArrayLike
) -> History:
    """The past with more waveforms, of which (n, measures) were taken; the first of a time stays.

    Raises:
        FeatureError: they are not the feature set's measures.
    """
    times = np.asarray(times_us, dtype=np.int64)
    width = len(features.wave_measures)
    rows = np.asarray(measures, dtype=np.float64)
    if rows.size != len(times) * width:
        raise FeatureError(
            f"machine '{history.machine_id}': expected {width} measures of each of {len(times)} "
            f"waveforms, got shape {rows.shape}"
        )
    rows = rows.reshape(len(times), width)
    all_times = np.concatenate([history.wave_times_us, times])
    unique_times, first = np.unique(all_times, return_index=True)
    all_rows = np.vstack([history.wave_measures.reshape(-1, width), rows])
    return _short(
        features, replace(history, wave_times_us=unique_times, wave_measures=all_rows[first])
    )


def pack(features: AssetFeatureSet, history: History) -> bytes:
    """For a store; holds the digest of the feature set, attributes apart: they lie as they came.

    So another vocabulary of an attribute loses neither readings nor the attribute.
    """
    about: dict[str, Any] = {
        "machine_id": history.machine_id,
        "features": features.history_digest,
        "installed_us": history.installed_us,
        "lengths": [len(getattr(history, name)) for name in _INTS],
    }
    if history.attributes:
        about["attributes"] = dict(history.attributes)
    header = json.dumps(about).encode()
    arrays = [getattr(history, name).astype("<i8").tobytes() for name in _INTS]
    body = [each.astype("<f8").tobytes() for each in (history.readings, history.wave_measures)]
    return b"".join([_MAGIC, struct.pack("<I", len(header)), header, *arrays, *body])


def unpack(features: AssetFeatureSet, stored: bytes) -> History:
    """What `pack` wrote, bit by bit.

    Raises:
        FeatureError: it is damaged, or was written for other features.
    """
    try:
        about, at = _header(stored)
        lengths = [int(length) for length in about["lengths"]]
        rows, width = lengths[0], len(features.sensors)
        waves, measures = lengths[-1], len(features.wave_measures)
        if len(stored) != at + 8 * (sum(lengths) + rows * width + waves * measures):
            raise ValueError("its length is not what its header says")
        if about["features"] != features.history_digest:
            raise ValueError("it was written for other features")
        attributes = about.get("attributes", {})
        if not isinstance(attributes, dict):
            raise ValueError("its attributes are not an object")
        arrays = {}
        for name, length in zip(_INTS, lengths, strict=True):
            arrays[name] = np.frombuffer(stored, "<i8", length, at).astype(np.int64)
            at += 8 * length
        readings = np.frombuffer(stored, "<f8", rows * width, at).astype(np.float64)
        at += 8 * rows * width
        heard = np.frombuffer(stored, "<f8", waves * measures, at).astype(np.float64)
        return History(
            str(about["machine_id"]),
            readings=readings.reshape(rows, width),
            installed_us=int(about["installed_us"]),
            wave_measures=heard.reshape(waves, measures),
            attributes=attributes,
            **arrays,
        )
    except (ValueError, KeyError, TypeError, struct.error, UnicodeDecodeError) as error:
        raise FeatureError(f"what is stored of a machine cannot be read: {error}") from error


def _header(stored: bytes) -> tuple[dict[str, Any], int]:
    if stored[:4] != _MAGIC:
        raise ValueError("it does not begin as it should")
    (length,) = struct.unpack_from("<I", stored, 4)
    about = json.loads(stored[8 : 8 + length].decode())
    if not isinstance(about, dict):
        raise ValueError("its header is not an object")
    return about, 8 + length


def _merge(
    known_us: Ints, known: Floats, times: Ints, values: Floats
) -> tuple[list[int], dict[str, int]]:
    """Rows of times that were not known, and how many others were of each kind in `EventBatch`.

    Rows of one time are one reading, unless they give one sensor two values: what a row says of
    other sensors is written into the first of its time, in `known` (n, sensors) or in `values`.
    """
    readings_by_time = dict(zip(known_us.tolist(), known, strict=True))
    fresh, counts = [], dict.fromkeys(("repeated", "contradicting", "merged"), 0)
    for row, (time, more) in enumerate(zip(times.tolist(), values, strict=True)):
        before = readings_by_time.setdefault(time, more)
        if before is more:
            fresh.append(row)
            continue
        has_value = ~np.isnan(more)
        adds = has_value & np.isnan(before)
        if (more != before)[has_value & ~adds].any():
            counts["contradicting"] += 1
        elif adds.any():
            before[adds] = more[adds]
            counts["merged"] += 1
        else:
            counts["repeated"] += 1
    return fresh, counts


def _run(history: History, days: Ints, counts: Ints, sign: int) -> History:
    """The history with readings while running added, or taken away, by day."""
    every, day_index = np.unique(np.concatenate([history.run_days, days]), return_inverse=True)
    weights = np.concatenate([history.run_counts, sign * counts])
    added = np.bincount(day_index, weights=weights, minlength=len(every)).astype(np.int64)
    return replace(history, run_days=every[added > 0], run_counts=added[added > 0])


def _merged(
    times: Ints, kinds: Ints, more_times: npt.ArrayLike, more_kinds: list[int]
) -> tuple[Ints, Ints]:
    """Both in order of time, no pair twice."""
    pairs = np.stack(
        [
            np.concatenate([times, np.asarray(more_times, dtype=np.int64)]),
            np.concatenate([kinds, np.asarray(more_kinds, dtype=np.int64)]),
        ]
    )
    unique = np.unique(pairs, axis=1)
    return unique[0], unique[1]


def _index_of(kind: str, name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise FeatureError(f"unknown {kind} '{name}'; declared are {', '.join(names) or 'none'}")
    return names.index(name)


def _short(features: AssetFeatureSet, history: History) -> History:
    newest = [
        int(times[-1])
        for times in (
            *(history.times_us, history.error_times_us),
            *(history.service_times_us, history.wave_times_us),
        )
        if len(times)
    ]
    return history.kept(features, max(newest)) if newest else history
