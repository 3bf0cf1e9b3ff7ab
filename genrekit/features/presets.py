"""Features by name: the settings that a network asks for, as one word."""

from typing import Final

from genrekit.features.extraction import FeatureParams

__all__ = ["PRESETS"]

PRESETS: Final[dict[str, FeatureParams]] = {
    "course": FeatureParams(),
    "everyday": FeatureParams("log_mel", sample_rate=16000, n_fft=512, hop_length=256, n_mels=96),
}
"""The course's MFCCs, and the spectra that the network everyday was pretrained on."""
