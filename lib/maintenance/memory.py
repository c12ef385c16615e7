"""What is remembered of a machine between requests: thirty days of its past, in a few kilobytes.

The same `History` as offline, kept short. A reading may come late, twice, or too late; each is
counted, and none is averaged in silence.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.maintenance.feature_set import FeatureError, FeatureSet
from lib.maintenance.history import UNKNOWN_US, Floats, History, Ints, running

_MAGIC = b"FWM2"
_INTS = (
    *("times_us", "error_times_us", "error_codes", "service_times_us", "service_parts"),
    *("run_days", "run_counts", "wave_times_us"),
)


@dataclass(frozen=True)
class Received:
    """What became of readings that came in.

    Attributes:
        new: remembered.
        late: of these, older than the newest that was known.
        repeated: known already, with the same values.
        contradicting: known already with other values; the first ones stay.
        too_old: older than anything that still counts.
    """

    new: int
    late: int
    repeated: int
    contradicting: int
    too_old: int


def nothing_yet(features: FeatureSet, machine_id: str, installed_us: int = UNKNOWN_US) -> History:
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
    features: FeatureSet, known: History, times_us: npt.ArrayLike, readings: npt.ArrayLike
) -> tuple[History, Received]:
    """The past with more readings in it, and what became of each.

    Args:
        features: which sensors, and how far back they count.
        known: of the machine.
        times_us: (n,) microseconds UTC, any order.
        readings: (n, sensors), NaN where a sensor gave none.

    Raises:
        FeatureError: readings are not of the feature set's sensors.
    """
    times = np.asarray(times_us, dtype=np.int64)
    values = np.asarray(readings, dtype=np.float64)
    if values.shape != (len(times), len(features.sensors)):
        raise FeatureError(
            f"machine '{known.machine_id}': expected readings of shape "
            f"({len(times)}, {len(features.sensors)}), got {values.shape}"
        )
    newest = int(known.times_us[-1]) if len(known.times_us) else UNKNOWN_US
    oldest = max(newest, int(times.max(initial=UNKNOWN_US))) - features.kept_us
    young = times > oldest
    fresh, repeated, contradicting = _sorted_out(known, times[young], values[young])
    times, values = times[young][fresh], values[young][fresh]
    received = Received(
        len(times), int((times < newest).sum()), repeated, contradicting, int((~young).sum())
    )
    all_times = np.concatenate([known.times_us, times])
    order = np.argsort(all_times, kind="stable")
    days, counts = _added(known, *running(features, times, values))
    found = replace(
        known,
        times_us=all_times[order],
        readings=np.concatenate([known.readings, values])[order],
        run_days=days,
        run_counts=counts,
    )
    return _short(features, found), received


def with_errors(
    features: FeatureSet, known: History, times_us: npt.ArrayLike, codes: list[str]
) -> History:
    """The past with more reports of the controller; a report that is known is not counted again.

    Raises:
        FeatureError: a code is not declared.
    """
    places = [_place("error code", code, features.error_codes) for code in codes]
    times, kinds = _merged(known.error_times_us, known.error_codes, times_us, places)
    return _short(features, replace(known, error_times_us=times, error_codes=kinds))


def with_services(
    features: FeatureSet, known: History, times_us: npt.ArrayLike, components: list[str | None]
) -> History:
    """The past with more services; None is a service of the whole machine.

    Raises:
        FeatureError: a component is not declared.
    """
    places = [
        -1 if part is None else _place("component", part, features.components)
        for part in components
    ]
    times, parts = _merged(known.service_times_us, known.service_parts, times_us, places)
    return _short(features, replace(known, service_times_us=times, service_parts=parts))


def with_waveforms(
    features: FeatureSet, known: History, times_us: npt.ArrayLike, measures: npt.ArrayLike
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
            f"machine '{known.machine_id}': expected {width} measures of each of {len(times)} "
            f"waveforms, got shape {rows.shape}"
        )
    rows = rows.reshape(len(times), width)
    all_times = np.concatenate([known.wave_times_us, times])
    found, first = np.unique(all_times, return_index=True)
    all_rows = np.vstack([known.wave_measures.reshape(-1, width), rows])
    return _short(features, replace(known, wave_times_us=found, wave_measures=all_rows[first]))


def pack(features: FeatureSet, known: History) -> bytes:
    """For a store; holds the feature set's digest."""
    about = {
        "machine_id": known.machine_id,
        "features": features.digest,
        "installed_us": known.installed_us,
        "lengths": [len(getattr(known, name)) for name in _INTS],
    }
    header = json.dumps(about).encode()
    arrays = [getattr(known, name).astype("<i8").tobytes() for name in _INTS]
    body = [each.astype("<f8").tobytes() for each in (known.readings, known.wave_measures)]
    return b"".join([_MAGIC, struct.pack("<I", len(header)), header, *arrays, *body])


def unpack(features: FeatureSet, stored: bytes) -> History:
    """What `pack` wrote, bit by bit.

    Raises:
        FeatureError: it is damaged, or was written for other features.
    """
    try:
        about, at = _header(stored)
        lengths = [int(one) for one in about["lengths"]]
        rows, width = lengths[0], len(features.sensors)
        waves, measures = lengths[-1], len(features.wave_measures)
        if len(stored) != at + 8 * (sum(lengths) + rows * width + waves * measures):
            raise ValueError("its length is not what its header says")
        if about["features"] != features.digest:
            raise ValueError("it was written for other features")
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


def _sorted_out(
    known: History, times: Ints, values: Floats
) -> tuple[npt.NDArray[np.int64], int, int]:
    """Rows that are new, and how many repeat or contradict what is known or came just before."""
    seen = {time: known.readings[row] for row, time in enumerate(known.times_us.tolist())}
    fresh, repeated, contradicting = [], 0, 0
    for row, time in enumerate(times.tolist()):
        before = seen.get(time)
        if before is None:
            seen[time] = values[row]
            fresh.append(row)
        elif np.array_equal(before, values[row], equal_nan=True):
            repeated += 1
        else:
            contradicting += 1
    return np.array(fresh, dtype=np.int64), repeated, contradicting


def _added(known: History, days: Ints, counts: Ints) -> tuple[Ints, Ints]:
    every, place = np.unique(np.concatenate([known.run_days, days]), return_inverse=True)
    added = np.bincount(place, weights=np.concatenate([known.run_counts, counts]))
    return every, added.astype(np.int64)


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


def _place(what: str, name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise FeatureError(f"unknown {what} '{name}'; declared are {', '.join(names) or 'none'}")
    return names.index(name)


def _short(features: FeatureSet, known: History) -> History:
    newest = [
        int(times[-1])
        for times in (
            *(known.times_us, known.error_times_us),
            *(known.service_times_us, known.wave_times_us),
        )
        if len(times)
    ]
    return known.kept(features, max(newest)) if newest else known
