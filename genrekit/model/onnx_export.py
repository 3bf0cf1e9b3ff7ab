"""Models as ONNX files, which run without PyTorch and without GenreKit.

The graph maps features of segments to calibrated probabilities of the genres. Everything else that
is needed to use it stands in its metadata, as text: how the features are computed, how the
probabilities of segments become those of a song, and when a genre is not sure.
"""

import json
import os
from typing import Final

import numpy as np

from genrekit import __version__
from genrekit.errors import ModelError, SettingsError
from genrekit.model.bundle import GenreModel
from genrekit.system.files import atomic_write, plain_os_errors
from genrekit.system.remote import local_path

__all__ = ["export_model"]

_HOW: Final = (
    "Mix a song to one channel of floats from -1 to 1 at sample_rate Hz and cut it into segments "
    "of int(sample_rate * segment_seconds) samples. Of each, take frames of n_fft samples every "
    "hop_length samples (with center, after n_fft // 2 zeros were added at both ends), a periodic "
    "Hann window, the power spectrum, n_mels triangular bands from 0 Hz to sample_rate / 2 of area "
    '1 over Hz (mel_formula), and 10 log10(max(power, 1e-10)). With ref "max", subtract the '
    "segment's maximum; then raise what is more than 80 dB below the maximum to that. For mfcc, "
    "take the first n_mfcc values of the orthonormal DCT-II of each frame. These are "
    "librosa.feature.melspectrogram and mfcc. The input has shape (segments, frames, coefficients)."
)
_GEOMETRIC: Final = "geometric mean over the segments, then divided by the sum over all outcomes"


def export_model(model: GenreModel, path: str | os.PathLike[str]) -> None:
    """Write a model as an ONNX file.

    Its input is "features", float32, shape (segments, frames, coefficients), of `extract`; its
    output "probabilities", float32, shape (segments, genres), as `GenreModel.probabilities`
    computes them. The metadata has "genres", "features" (the parameters), "how" in words, "song",
    "threshold", "about" and "genrekit"; lists and tables are JSON.

    Parameters
    ----------
    path : path, ending in .onnx

    Raises
    ------
    SettingsError
        The package onnx is not installed, or the name ends otherwise.
    ModelError
        The network is none of mlp, cnn and everyday, or the file cannot be written.

    Examples
    --------
    >>> from genrekit import load_model
    >>> export_model(load_model("gtzan-cnn"), "gtzan-cnn.onnx")
    """
    try:
        import onnx
    except ImportError:
        raise SettingsError(
            'An export to ONNX needs the package onnx: pip install "genrekit[onnx]"'
        ) from None
    from genrekit.model.onnx_layers import Graph, logits_of

    file = local_path(path)
    if file.suffix.lower() != ".onnx":
        raise SettingsError(f'"{file.name}" must end in .onnx: rename it.')
    graph = Graph()
    centred = graph.add("Sub", "features", graph.constant(model.mean))
    x = graph.add("Div", centred, graph.constant(model.std))
    logits = logits_of(graph, model.network.eval(), x)
    logits = graph.add("Div", logits, graph.constant(model.temperature))
    shares = graph.add("Softmax", logits, axis=1)
    bounds = [graph.whole_numbers(value) for value in (0, len(model.genres), 1)]
    shares = graph.add("Slice", shares, *bounds)
    exported = graph.model(model.params.shape, shares, len(model.genres))
    exported.producer_name, exported.producer_version = "GenreKit", __version__
    onnx.helper.set_model_props(exported, _about(model))
    onnx.checker.check_model(exported, full_check=True)
    with plain_os_errors("written", file, ModelError), atomic_write(file) as temporary:
        temporary.write_bytes(exported.SerializeToString())


def _about(model: GenreModel) -> dict[str, str]:
    """Return what is needed to use a model, and what it is, as texts."""
    return {
        "genres": json.dumps(model.genres, ensure_ascii=False),
        "features": json.dumps(model.params.to_dict()),
        "how": _HOW,
        "song": _GEOMETRIC if model.geometric else "mean over the segments",
        "threshold": f"{np.float32(model.threshold):g}: below it the verdict is not sure",
        "about": str(model.card.get("about", "")),
        "genrekit": __version__,
    }
