"""A machine's past as it comes, and as an archive would hold it."""

from __future__ import annotations

import numpy as np

from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import History, running
from lib.maintenance.state_codec import with_errors, with_services, with_waveforms


def with_events(
    features: AssetFeatureSet, history: History, memory: History, since: int, at: int
) -> History:
    """A memory with the errors, services and waveforms of (since, at]."""
    errors = (history.error_times_us > since) & (history.error_times_us <= at)
    codes = [features.error_codes[code] for code in history.error_codes[errors]]
    memory = with_errors(features, memory, history.error_times_us[errors], codes)
    services = (history.service_times_us > since) & (history.service_times_us <= at)
    parts = [None if p < 0 else features.components[p] for p in history.service_parts[services]]
    memory = with_services(features, memory, history.service_times_us[services], parts)
    waves = (history.wave_times_us > since) & (history.wave_times_us <= at)
    return with_waveforms(
        features, memory, history.wave_times_us[waves], history.wave_measures[waves]
    )


def arrived(
    features: AssetFeatureSet, history: History, rows: np.ndarray, at: int, since: int = -1
) -> History:
    """What an archive would hold: all readings of `rows`, and what else came in (since, at]."""
    errors = (history.error_times_us > since) & (history.error_times_us <= at)
    services = (history.service_times_us > since) & (history.service_times_us <= at)
    waves = (history.wave_times_us > since) & (history.wave_times_us <= at)
    times, readings = history.times_us[rows], history.readings[rows]
    return History(
        history.machine_id,
        times,
        readings,
        history.error_times_us[errors],
        history.error_codes[errors],
        history.service_times_us[services],
        history.service_parts[services],
        history.installed_us,
        *running(features, times, readings),
        history.wave_times_us[waves],
        history.wave_measures[waves],
    )
