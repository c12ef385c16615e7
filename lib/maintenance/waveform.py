"""What a waveform says: levels, spectrum and envelope, in physical units.

A bearing knocks some hundred times a second, and what it excites rings at thousands. Readings once
an hour cannot show that, whatever is computed from them: these features need the raw samples and
their sampling rate. Measures as in Randall, Vibration-based Condition Monitoring (2021).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.signal import hilbert

Floats = npt.NDArray[np.float64]
FEWEST_SAMPLES = 64
HARMONICS = 5
_SMALLEST = 1e-60
_BAND_EDGES_HZ = (0.0, 250.0, 500.0, 1000.0, 1500.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0)


class WaveformError(ValueError):
    """A waveform cannot be read; the message says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """A rolling bearing's geometry, of which its fault frequencies follow.

    Args:
        balls: rolling elements.
        ball_mm, pitch_mm: diameters.
        contact_deg: contact angle.
    """

    balls: int
    ball_mm: float
    pitch_mm: float
    contact_deg: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.contact_deg < 90.0:
            raise WaveformError(f"contact_deg: expected 0 to below 90, got {self.contact_deg}")
        if self.balls * self.ball_mm > np.pi * self.pitch_mm:
            raise WaveformError(
                f"{self.balls} balls of {self.ball_mm} mm do not fit on a pitch of "
                f"{self.pitch_mm} mm"
            )
        if self.balls < 2 or not 0.0 < self.ball_mm < self.pitch_mm:
            raise WaveformError(
                "expected 2 balls or more, with a diameter above 0 and below the pitch's, got "
                f"{self.balls}, {self.ball_mm} mm and {self.pitch_mm} mm"
            )

    def fault_hz(self, shaft_hz: float) -> dict[str, float]:
        """How often a defect of a part is passed, outer race at rest: Randall, section 2.2.3."""
        ratio = self.ball_mm / self.pitch_mm * np.cos(np.deg2rad(self.contact_deg))
        return {
            "outer": self.balls / 2.0 * shaft_hz * (1.0 - ratio),
            "inner": self.balls / 2.0 * shaft_hz * (1.0 + ratio),
            "ball": self.pitch_mm / self.ball_mm * shaft_hz * (1.0 - ratio**2),
            "cage": shaft_hz / 2.0 * (1.0 - ratio),
        }


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One-sided amplitudes: a sine of amplitude 1 has a peak of 1.

    Attributes:
        hz: (m,) from 0 to half the sampling rate.
        amplitude: (m,) in the samples' unit.
    """

    hz: Floats
    amplitude: Floats

    @property
    def step_hz(self) -> float:
        """Width of a bin."""
        return float(self.hz[1])

    def peak_near(self, hz: float) -> float:
        """The largest amplitude within a bin and 2% of a frequency; 0 beyond the spectrum."""
        near = np.abs(self.hz - hz) <= max(1.01 * self.step_hz, 0.02 * hz)
        return float(self.amplitude[near].max(initial=0.0))


def spectrum(samples: npt.ArrayLike, sampling_rate_hz: float) -> Spectrum:
    """Of samples (n,): mean removed, Hann window, scaled by the window's own sum.

    Raises:
        WaveformError: no rate, too few samples, or a sample that is no number.
    """
    values = _checked(samples, sampling_rate_hz)
    window = np.hanning(len(values))
    parts = np.fft.rfft((values - values.mean()) * window)
    amplitude = np.asarray(np.abs(parts) * (2.0 / float(window.sum())), dtype=np.float64)
    if len(values) % 2 == 0:
        amplitude[-1] /= 2.0  # half the sampling rate has no mirror image
    return Spectrum(
        np.asarray(np.fft.rfftfreq(len(values), 1.0 / sampling_rate_hz), np.float64), amplitude
    )


def envelope(samples: npt.ArrayLike, sampling_rate_hz: float, from_hz: float) -> Floats:
    """(n,) amplitude of what lies above `from_hz`: Hilbert's, where knocks show as knocks."""
    values = _checked(samples, sampling_rate_hz)
    parts = np.fft.rfft(values - values.mean())
    parts[np.fft.rfftfreq(len(values), 1.0 / sampling_rate_hz) < from_hz] = 0.0
    return np.asarray(np.abs(hilbert(np.fft.irfft(parts, len(values)))), dtype=np.float64)


def feature_names(bearing: Bearing | None = None) -> tuple[str, ...]:
    """Names of what `waveform_features` answers, in order; amplitudes in the samples' unit."""
    bands = [f"energy_share_{low:.0f}_{high:.0f}_hz" for low, high in _bands()]
    faults = [f"envelope_{part}_ratio" for part in ("outer", "inner", "ball", "cage")]
    return (
        *("rms", "peak", "crest_factor", "kurtosis", "skewness"),
        *("dominant_hz", "dominant_amplitude", "centroid_hz", "spread_hz", "entropy"),
        *("harmonic_energy_ratio", *bands, "envelope_kurtosis", "envelope_dominant_hz"),
        *(faults if bearing else ()),
    )


def waveform_features(
    samples: npt.ArrayLike,
    sampling_rate_hz: float,
    shaft_hz: float | None = None,
    bearing: Bearing | None = None,
) -> Floats:
    """Features (f,) of one waveform, in the order of `feature_names(bearing)`.

    Args:
        samples: (n,) acceleration or velocity, 64 or more, any unit.
        sampling_rate_hz: above 0; there is no default.
        shaft_hz: turns a second; without it what depends on it is NaN.
        bearing: adds how far fault frequencies stand out of the envelope's spectrum.

    A constant waveform has no frequencies: what would name one is NaN, energies are 0.

    Raises:
        WaveformError: see `spectrum`; or the shaft's speed is below 0.
    """
    values = _checked(samples, sampling_rate_hz)
    shaft_hz = _checked_shaft(shaft_hz)
    raw_spectrum = spectrum(values, sampling_rate_hz)
    if np.ptp(values) == 0.0:
        return _of_nothing(bearing)
    knocks = envelope(values, sampling_rate_hz, sampling_rate_hz / 8.0)
    beats = spectrum(knocks, sampling_rate_hz)
    energy = raw_spectrum.amplitude**2
    parts = [
        _levels(values),
        _shape(raw_spectrum),
        [_harmonic_ratio(raw_spectrum, shaft_hz)],
        [_band(raw_spectrum, energy, low, high) for low, high in _bands()],
        [_kurtosis(knocks), _dominant(beats)[0]],
    ]
    if bearing is not None:
        parts.append(_fault_ratios(beats, shaft_hz, bearing))
    return np.array([value for part in parts for value in part], dtype=np.float64)


def _checked(samples: npt.ArrayLike, sampling_rate_hz: float) -> Floats:
    values = np.asarray(samples, dtype=np.float64)
    is_number = isinstance(sampling_rate_hz, int | float | np.number)
    if not (is_number and np.isfinite(sampling_rate_hz) and sampling_rate_hz > 0.0):
        raise WaveformError(f"sampling_rate_hz: expected above 0, got {sampling_rate_hz!r}")
    if values.ndim != 1 or len(values) < FEWEST_SAMPLES:
        raise WaveformError(f"samples: expected {FEWEST_SAMPLES} or more, got {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise WaveformError(
            f"samples: expected finite numbers, got {values[bad[0]]} at {bad[0]} "
            f"({len(bad)} such samples)"
        )
    height = float(np.ptp(values))
    if height != 0.0 and not _SMALLEST < height < 1.0 / _SMALLEST:
        raise WaveformError(f"samples: expected a sensor's amplitudes, got {height:g} in all")
    return values


def _checked_shaft(shaft_hz: float | None) -> float | None:
    if shaft_hz is not None and not (np.isfinite(shaft_hz) and shaft_hz >= 0.0):
        raise WaveformError(f"shaft_hz: expected 0 or more, or None, got {shaft_hz}")
    return shaft_hz


def _bands() -> list[tuple[float, float]]:
    return list(pairwise(_BAND_EDGES_HZ))


def _of_nothing(bearing: Bearing | None) -> Floats:
    energies = ("rms", "peak", "dominant_amplitude")
    return np.array([0.0 if name in energies else np.nan for name in feature_names(bearing)])


def _levels(values: Floats) -> list[float]:
    away = values - values.mean()
    rms = float(np.sqrt(np.mean(away**2)))
    peak = float(np.abs(away).max())
    return [rms, peak, peak / rms, _kurtosis(values), float(np.mean(away**3) / rms**3)]


def _kurtosis(values: Floats) -> float:
    """Fourth moment over the squared variance: 3 for a normal distribution, 1.5 for a sine."""
    away = values - values.mean()
    variance = np.mean(away**2)
    return float(np.mean(away**4) / variance**2) if variance > 0.0 else float("nan")


def _dominant(spectrum: Spectrum) -> tuple[float, float]:
    """Frequency and amplitude of the highest peak, between bins by a parabola of logarithms.

    Within .2 of a bin and 5% of a lone tone's.
    """
    peak = int(np.argmax(spectrum.amplitude[1:])) + 1
    height = float(spectrum.amplitude[peak])
    if not 1 <= peak < len(spectrum.hz) - 1 or height <= 0.0:
        return float(spectrum.hz[peak]), height
    left, middle, right = np.log(np.maximum(spectrum.amplitude[peak - 1 : peak + 2], 1e-300))
    bend = left - 2.0 * middle + right
    moved = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    return float((peak + moved) * spectrum.step_hz), float(
        np.exp(middle - 0.25 * (left - right) * moved)
    )


def _shape(spectrum: Spectrum) -> list[float]:
    """Dominant frequency and amplitude, centroid and spread (Hz), entropy from 0 to 1."""
    energy = spectrum.amplitude[1:] ** 2
    share = energy / energy.sum()
    centroid = float(share @ spectrum.hz[1:])
    spread = float(np.sqrt(share @ (spectrum.hz[1:] - centroid) ** 2))
    entropy = float(-(share * np.log(np.maximum(share, 1e-300))).sum() / np.log(len(share)))
    return [*_dominant(spectrum), centroid, spread, entropy]


def _harmonic_ratio(spectrum: Spectrum, shaft_hz: float | None) -> float:
    """Energy at the first harmonics of the shaft over all energy."""
    if shaft_hz is None or not shaft_hz > 0.0:
        return float("nan")
    near = np.zeros(len(spectrum.hz), dtype=bool)
    for number in range(1, HARMONICS + 1):
        near |= np.abs(spectrum.hz - number * shaft_hz) <= 2.0 * spectrum.step_hz
    energy = spectrum.amplitude[1:] ** 2
    return float(energy[near[1:]].sum() / energy.sum())


def _band(spectrum: Spectrum, energy: Floats, low: float, high: float) -> float:
    """Share of all energy in [low, high); NaN where the sampling rate cannot show the band."""
    if high > spectrum.hz[-1] * 1.0001:
        return float("nan")
    inside = (spectrum.hz >= max(low, spectrum.step_hz)) & (spectrum.hz < high)
    return float(energy[inside].sum() / energy[1:].sum())


def _fault_ratios(beats: Spectrum, shaft_hz: float | None, bearing: Bearing) -> list[float]:
    """Mean peak at three harmonics of each fault frequency over the median of the spectrum."""
    if shaft_hz is None or not shaft_hz > 0.0:
        return [float("nan")] * 4
    floor = float(np.median(beats.amplitude[1:]))
    return [
        float(np.mean([beats.peak_near(number * hz) for number in (1, 2, 3)]) / floor)
        if floor > 0.0
        else float("nan")
        for hz in bearing.fault_hz(shaft_hz).values()
    ]
