"""Small pictures and short sounds for the words that they explain best, computed by the core."""

import base64
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.app.kit.charts import SKY
from genrekit.app.kit.clips import CLIPS
from genrekit.app.kit.media import media_url
from genrekit.audio.decoder import load_audio
from genrekit.audio.degradation import at_level, noise
from genrekit.audio.encode import wav_bytes
from genrekit.features.extraction import (
    FeatureParams,
    dct_matrix,
    hann_window,
    log_mel,
    mfcc,
)
from genrekit.mel import tones
from genrekit.mel.scale import mel_filterbank
from genrekit.model.metrics import softmax
from genrekit.teaching.neuron import ACTIVATIONS

__all__ = ["PICTURES", "SOUNDS", "picture", "sound"]

Array = NDArray[np.floating[Any]]
_WIDTH: Final = 240
_HEIGHT: Final = 80
_SWEEP: Final = np.linspace(-4, 4, 97)
_SUMS: Final = np.array([[2.0, 1, 0, -1]])
_A4_HZ: Final = 440.0
_SHORT: Final = FeatureParams("log_mel", segment_seconds=4.0, n_mels=64)


def _lines(*curves: Array) -> str:
    """Draw curves that share an axis and a range."""
    low, high = min(curve.min() for curve in curves), max(curve.max() for curve in curves)
    drawn = []
    for curve in curves:
        x = np.linspace(2, _WIDTH - 2, len(curve))
        y = _HEIGHT - 3 - (curve - low) / (high - low) * (_HEIGHT - 6)
        points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, y, strict=True))
        drawn.append(f'<polyline points="{points}" fill="none" stroke-width="2"></polyline>')
    return "".join(drawn)


def _bars(values: Array) -> str:
    """Draw values as bars from 0."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    step, scale = _WIDTH / len(values), _HEIGHT / (high - low)
    return "".join(
        f'<rect x="{i * step + 1:.1f}" y="{(high - max(v, 0.0)) * scale:.1f}" '
        f'width="{step - 2:.1f}" height="{abs(v) * scale:.1f}" stroke="none"></rect>'
        for i, v in enumerate(values)
    )


def _excerpt() -> Array:
    clip = next(clip for clip in CLIPS if clip.name == "jazz")
    return load_audio(clip.path, _SHORT.sample_rate, max_seconds=4.0)[np.newaxis]


def _spectrogram() -> str:
    level = log_mel(_excerpt(), _SHORT)[0].T[::-1]
    shades = np.clip(255 * ((level - level.max()) / 60 + 1), 0, 255).astype(np.uint8)
    data = base64.b64encode(_png(shades)).decode("ascii")
    size = f'width="{_WIDTH}" height="{_HEIGHT}" preserveAspectRatio="none"'
    return f'<image href="data:image/png;base64,{data}" {size}></image>'


def _png(shades: NDArray[np.uint8]) -> bytes:
    """Return a picture in shades of grey, shape (rows, columns), as a PNG file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + check.to_bytes(4, "big")

    rows, columns = shades.shape
    head = columns.to_bytes(4, "big") + rows.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    lines = zlib.compress(np.insert(shades, 0, 0, axis=1).tobytes())  # 0: as they are
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _coefficients() -> str:
    params = FeatureParams("mfcc", segment_seconds=4.0)
    return _bars(mfcc(_excerpt(), params)[0].mean(axis=0)[1:])  # the first is the loudness


def _bands() -> str:
    return _lines(*mel_filterbank(_SHORT.sample_rate, 128, 8, norm="peak"))


PICTURES: Final[dict[str, Callable[[], str]]] = {
    "sigmoid": lambda: _lines(ACTIVATIONS["sigmoid"](_SWEEP)),
    "tanh": lambda: _lines(ACTIVATIONS["tanh"](_SWEEP)),
    "relu": lambda: _lines(ACTIVATIONS["relu"](_SWEEP)),
    "a window": lambda: _lines(hann_window(97)),
    "eight mel bands": _bands,
    "the first four waves": lambda: _lines(*dct_matrix(5, 97).T[1:]),
    "four seconds of jazz": _spectrogram,
    "the twelve after the loudness, for four seconds of jazz": _coefficients,
    "the cross-entropy by probability": lambda: _lines(-np.log(np.linspace(0.02, 1, 97))),
    "sums of 2, 1, 0 and −1 as probabilities": lambda: _bars(softmax(_SUMS)[0]),
}
SOUNDS: Final[dict[str, Callable[[], Array]]] = {
    "a tone of 440 Hz": lambda: tones.melody([_A4_HZ]),
    "eight equal steps in mel": lambda: tones.melody(
        tones.equal_steps(200, 4000, 8, "mel").tolist(), tone_seconds=0.3
    ),
    "a tone and its octave": lambda: tones.melody([_A4_HZ, 2 * _A4_HZ]),
    "a semitone": lambda: tones.melody([_A4_HZ, tones.step_from(_A4_HZ, 1, "semitones")]),
    "a tone, then 10 dB less": lambda: np.concatenate(
        [tone := tones.melody([_A4_HZ]), tone * 10 ** (-10 / 20)]
    ),
    "pink noise": lambda: at_level(noise(2 * tones.SAMPLE_RATE, tones.SAMPLE_RATE), -30.0),
}


@cache
def picture(name: str) -> str:
    """Return one of `PICTURES` as HTML; its name describes it."""
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'stroke="{SKY}" fill="{SKY}">{PICTURES[name]()}</svg>'
    )
    data = base64.b64encode(drawing.encode()).decode("ascii")
    return f'<img src="data:image/svg+xml;base64,{data}" alt="Picture: {name}">'


def sound(name: str) -> str:
    """Return one of `SOUNDS` as HTML: a player that loads it when it is started."""
    url = media_url(_wav(name), "audio/wav", f"glossary {name}")
    return f'<audio controls preload="none" src="{url}" aria-label="Sound: {name}"></audio>'


@cache
def _wav(name: str) -> bytes:
    return wav_bytes(SOUNDS[name](), tones.SAMPLE_RATE)
