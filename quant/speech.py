"""Spoken digits as pictures of their sound: 49 frames of 10 mel-frequency cepstral coefficients."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BuildError
from .archives import check_labels, read_archive
from .images import Images

KEYS = ("samples", "offsets", "y", "index")
RATE_HZ = 8000
WINDOW, HOP, SPECTRUM = 320, 160, 512  # samples: 40 ms every 20 ms
FRAMES, FILTERS, COEFFICIENTS = 49, 40, 10
TEST_BELOW = 5  # recordings with a smaller index are the official test part
SPREAD = 4.0  # standard deviations that reach from 0 to 1


def load_speech(path: Path) -> Images:
    """Features (recordings, 490) from -1 to 1, each coefficient normalized by the training set's mean and deviation."""
    arrays = read_archive(path, KEYS)
    _check(path, arrays)
    features = np.stack([cepstrum(clip) for clip in np.split(arrays["samples"], arrays["offsets"][1:-1])])
    is_test = arrays["index"] < TEST_BELOW
    mean, deviation = (function(features[~is_test], axis=(0, 1)) for function in (np.mean, np.std))
    scaled = np.clip((features - mean) / (SPREAD * deviation), -1, 1).astype(np.float32).reshape(len(features), -1)
    labels = arrays["y"].astype(np.int64)
    return Images(scaled[~is_test], labels[~is_test], scaled[is_test], labels[is_test])


def cepstrum(samples: NDArray) -> NDArray[np.float64]:
    """(49, 10) of int16 samples, which are centred in one second or cut to it."""
    signal = np.zeros(RATE_HZ)
    clip = samples[:RATE_HZ] / 32768.0
    start = (RATE_HZ - len(clip)) // 2
    signal[start : start + len(clip)] = clip
    windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP] * np.hanning(WINDOW)
    energy = np.abs(np.fft.rfft(windows, SPECTRUM)) ** 2
    loudness = np.log(energy @ mel_filters().T + 1e-4)
    angles = np.pi / FILTERS * np.outer(np.arange(COEFFICIENTS), np.arange(FILTERS) + 0.5)
    return loudness @ np.cos(angles).T


def mel_filters() -> NDArray[np.float64]:
    """Triangles (40, 257) that are evenly spread over the mel scale from 20 Hz to 4 kHz."""
    mels = np.linspace(_mel(20.0), _mel(RATE_HZ / 2), FILTERS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    frequencies = np.linspace(0, RATE_HZ / 2, SPECTRUM // 2 + 1)
    low, middle, high = (edges[i : i + FILTERS, None] for i in range(3))
    return np.clip(np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)), 0, None)


def _mel(frequency_hz: float) -> float:
    return 2595 * float(np.log10(1 + frequency_hz / 700))


def _check(path: Path, arrays: dict[str, NDArray]) -> None:
    samples, offsets, index = arrays["samples"], arrays["offsets"], arrays["index"]
    if samples.ndim != 1 or samples.dtype != np.int16:
        raise BuildError(f"{path}: samples is {samples.dtype}{list(samples.shape)}; needed is int16[samples]")
    rising = offsets.ndim == 1 and len(offsets) > 1 and (np.diff(offsets) > 0).all()
    if not rising or offsets[0] != 0 or offsets[-1] != len(samples):
        raise BuildError(f"{path}: offsets must rise from 0 to {len(samples)}, the number of samples")
    check_labels(path, "y", arrays["y"], len(offsets) - 1)
    if index.shape != arrays["y"].shape or not 0 < (index < TEST_BELOW).sum() < len(index):
        raise BuildError(
            f"{path}: index must number each speaker's recordings of a digit; those below {TEST_BELOW} are the test set"
        )
