"""Known tones come back, and what cannot be read is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.maintenance.waveform import (
    Bearing,
    WaveformError,
    envelope,
    feature_names,
    spectrum,
    waveform_features,
)

RATE = 12_000.0
SKF_6205 = Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04)
SECONDS = np.arange(int(RATE * 0.5)) / RATE


def features(samples, rate=RATE, **more) -> dict[str, float]:
    values = waveform_features(samples, rate, **more)
    return dict(zip(feature_names(more.get("bearing")), values, strict=True))


def tone(hz: float, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * SECONDS + 0.3)


@pytest.mark.parametrize("seed", range(5))
def test_a_tone_of_157_hz_under_an_offset_and_noise_is_found_to_one_bin(seed):
    noise = np.random.default_rng(seed).normal(0.0, 0.5, len(SECONDS))
    values = features(7.0 + tone(157.0) + noise)
    bin_hz = RATE / len(SECONDS)
    assert abs(values["dominant_hz"] - 157.0) < bin_hz
    assert values["dominant_amplitude"] == pytest.approx(1.0, abs=0.06)


@settings(max_examples=40, deadline=None)
@given(st.floats(100.0, 5_900.0), st.floats(0.01, 100.0))
def test_any_tone_is_found_with_its_amplitude(hz, amplitude):
    values = features(tone(hz, amplitude))
    assert values["dominant_hz"] == pytest.approx(hz, abs=0.2)
    assert values["dominant_amplitude"] == pytest.approx(amplitude, rel=0.05)
    assert values["rms"] == pytest.approx(amplitude / np.sqrt(2), rel=0.05)
    assert values["centroid_hz"] == pytest.approx(hz, abs=2.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-50.0, 50.0), st.sampled_from([0.5, 2.0, -4.0]))
def test_an_offset_changes_nothing_and_a_factor_levels_alone(seed, offset, factor):
    samples = np.random.default_rng(seed).normal(size=600) + np.sin(np.arange(600) / 5.0)
    original, other = features(samples), features(factor * samples + offset)
    for name in original:
        if name == "skewness":
            assert other[name] == pytest.approx(np.sign(factor) * original[name], abs=1e-6)
            continue
        scale = abs(factor) if name in ("rms", "peak", "dominant_amplitude") else 1.0
        assert other[name] == pytest.approx(scale * original[name], rel=1e-6, abs=1e-9, nan_ok=True)


def test_energy_in_the_spectrum_is_the_energy_in_time():
    samples = tone(500.0, 2.0) + tone(1_200.0, 0.5)
    power = (spectrum(samples, RATE).amplitude ** 2).sum() / 2.0 / 1.5
    assert power == pytest.approx(np.mean(samples**2), rel=0.01)


def test_bands_share_the_energy_by_what_is_in_them():
    values = features(tone(700.0, 2.0) + tone(2_500.0, 1.0))
    assert values["energy_share_500_1000_hz"] == pytest.approx(0.8, abs=0.01)
    assert values["energy_share_2000_3000_hz"] == pytest.approx(0.2, abs=0.01)


def test_harmonics_of_the_shaft_are_told_from_the_rest():
    values = features(tone(30.0) + tone(60.0) + tone(1_234.0, 1.0), shaft_hz=30.0)
    assert values["harmonic_energy_ratio"] == pytest.approx(2 / 3, abs=0.02)
    assert np.isnan(features(tone(30.0))["harmonic_energy_ratio"])


def test_the_envelope_knocks_as_often_as_the_bearing():
    shaft = 29.95
    outer = SKF_6205.fault_hz(shaft)["outer"]
    knocks = (np.sin(2 * np.pi * outer * SECONDS) > 0.97).astype(float)
    ringing = knocks * np.sin(2 * np.pi * 3_300.0 * SECONDS)
    noise = np.random.default_rng(1).normal(0.0, 0.05, len(SECONDS))
    values = features(ringing + noise, shaft_hz=shaft, bearing=SKF_6205)
    assert values["envelope_dominant_hz"] == pytest.approx(outer, abs=2.0)
    others = [values[f"envelope_{part}_ratio"] for part in ("inner", "ball", "cage")]
    assert values["envelope_outer_ratio"] > 2.5 * max(others)
    assert envelope(ringing, RATE, 1_500.0).shape == SECONDS.shape


def test_fault_frequencies_are_those_published_for_the_drive_end_bearing():
    """Case Western Reserve University, bearing information: multiples of running speed in Hz."""
    frequencies = SKF_6205.fault_hz(1.0)
    assert frequencies["inner"] == pytest.approx(5.4152, abs=2e-3)
    assert frequencies["outer"] == pytest.approx(3.5848, abs=2e-3)
    assert frequencies["cage"] == pytest.approx(0.39828, abs=2e-4)
    assert frequencies["ball"] == pytest.approx(4.7135, abs=2e-3)


def test_a_band_beyond_half_the_rate_is_unknown():
    values = features(np.sin(np.arange(500.0)), rate=2_000.0)
    assert np.isnan(values["energy_share_1500_2000_hz"])
    assert not np.isnan(values["energy_share_500_1000_hz"])


def test_a_constant_waveform_names_no_frequency():
    values = features(np.full(200, 4.2))
    assert (values["rms"], values["peak"]) == (0.0, 0.0)
    assert np.isnan(values["dominant_hz"])


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.ones(100), 0.0, "sampling_rate_hz: expected above 0, got 0"),
        (np.ones(100), float("nan"), "sampling_rate_hz: expected above 0, got nan"),
        (np.ones(100), None, "sampling_rate_hz: expected above 0, got None"),
        (np.ones(100), "12 kHz", "sampling_rate_hz: expected above 0, got '12 kHz'"),
        (np.sin(np.arange(100.0)) * 1e-200, RATE, "expected a sensor's amplitudes"),
        (np.sin(np.arange(100.0)) * 1e160, RATE, "expected a sensor's amplitudes"),
        (np.ones(10), RATE, "samples: expected 64 or more"),
        (np.ones((64, 2)), RATE, "samples: expected 64 or more"),
        (np.append(np.ones(99), np.nan), RATE, "got nan at 99"),
    ],
)
def test_what_cannot_be_read_is_refused(samples, rate, message):
    with pytest.raises(WaveformError, match=message):
        waveform_features(samples, rate)


def test_a_shaft_or_a_bearing_that_cannot_be_is_refused():
    with pytest.raises(WaveformError, match="shaft_hz: expected 0 or more"):
        waveform_features(tone(100.0), RATE, shaft_hz=-30.0)
    with pytest.raises(WaveformError, match=r"40 balls of .* do not fit"):
        Bearing(balls=40, ball_mm=7.94, pitch_mm=39.04)
    with pytest.raises(WaveformError, match="contact_deg: expected 0 to below 90"):
        Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04, contact_deg=90.0)


def test_a_tone_at_half_the_rate_has_its_amplitude():
    samples = np.cos(np.pi * np.arange(4000))
    assert spectrum(samples, RATE).amplitude[-1] == pytest.approx(1.0, abs=0.01)
