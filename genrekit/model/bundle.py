"""A model: a trained network with all that is needed to use it, and to judge it.

A bundle is a folder with ``weights.safetensors``, ``model.json`` (the network's name, the feature
parameters, the genres, the calibration, and the card, which says on what data and which split
every figure was measured) and ``neighbours.safetensors`` (what it was trained on, see
`genrekit.model.neighbours`), which it can do without. Nothing in a bundle is ever executed.

PyTorch is imported by what computes, not by what names a model or holds a verdict.
"""

import copy
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError

from genrekit.audio.decoder import Decoded, decode
from genrekit.audio.samples import resampled, usable_samples
from genrekit.audio.source import AudioSource
from genrekit.errors import GenreKitError, ModelError
from genrekit.features.extraction import FeatureParams, extract, split_segments
from genrekit.model.familiarity import EDGE, UNLIKE
from genrekit.model.metrics import softmax
from genrekit.model.neighbours import NEIGHBOURS_FILE, Nearest, Neighbours
from genrekit.model.verdicts import SegmentVerdict, Verdict, undecided
from genrekit.system.files import atomic_write, plain_os_errors, without_nan
from genrekit.system.memory import lacks_memory, rows_at_once
from genrekit.system.remote import local_path

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["DEFAULT_MODEL", "MODELS", "GenreModel"]

MODELS: Final = Path(__file__).resolve().parents[2] / "models"
DEFAULT_MODEL: Final = "gtzan-cnn"
MAX_SONG_SECONDS: Final = 900.0

_FORMAT: Final = 1
_CARD_FILE: Final = "model.json"
_WEIGHTS_FILE: Final = "weights.safetensors"
# -60 dBFS: quieter than the noise floor of most recordings of music.
_SILENCE_PEAK: Final = 1e-3
# This far from a blind guess towards certainty, a confidence is no leaning at all.
_EVEN: Final = 0.1


@dataclass(frozen=True, eq=False)
class GenreModel:
    """A trained network, ready to use.

    Attributes
    ----------
    network : torch.nn.Module
    network_name : a key of `genrekit.model.networks.NETWORKS`
    params : FeatureParams
    genres : tuple of str, in the order of the network's outputs
    mean, std : ndarray, float32, shape (coefficients,)
        Features are normalised as ``(x - mean) / std``, fitted on training tracks only;
        zeros and ones where the network takes them as they are.
    temperature : float
        Divides the logits, fitted on the validation part (Guo et al. 2017).
    threshold : float
        Below this confidence the verdict is "not sure".
    card : dict
        Data, split, recipe, history and figures, as plain values.
    neighbours : Neighbours or None
        What it was trained on; without it, no song is ever too far from that.
    """

    network: "nn.Module"
    network_name: str
    params: FeatureParams
    genres: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    temperature: float = 1.0
    threshold: float = 0.0
    card: dict[str, Any] = field(default_factory=dict, repr=False)
    neighbours: Neighbours | None = field(default=None, repr=False)

    # -- use ------------------------------------------------------------------------------

    def logits(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The network's raw outputs, before temperature.

        Parameters
        ----------
        features : ndarray, float32, shape (n, *params.shape), as `features.extract` gives them
        rows : ndarray, int64, shape (n,), or None
            Only these rows of the features, taken a batch at a time; None means all.

        Returns
        -------
        ndarray, float32, shape (n, genres)

        Raises
        ------
        ModelError
            The features have another shape, or the answers are no numbers.
        """
        import torch

        if features.shape[1:] != self.params.shape:
            raise ModelError(
                f"The model takes segments of shape {self.params.shape}, these have "
                f"{features.shape[1:]}: compute them with the model's own parameters."
            )
        self.network.eval()
        device = next(self.network.parameters()).device
        results = [np.empty((0, len(self.genres)), np.float32)]
        with torch.inference_mode():
            step = rows_at_once(self.params.shape)
            for start in range(0, len(features if rows is None else rows), step):
                part = slice(start, start + step)
                batch = features[part if rows is None else rows[part]] - self.mean
                batch /= self.std
                results.append(self.network(torch.from_numpy(batch).to(device)).cpu().numpy())
        logits = np.concatenate(results)
        if not np.isfinite(logits).all():
            raise ModelError(
                "The model's answers are beyond all numbers, so its weights are damaged: "
                "train it again."
            )
        return logits

    def embeddings(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """What the network's last linear layer takes in, shape (n, e); otherwise as `logits`.

        Raises
        ------
        ModelError
            Also when the network has no linear layer.
        """
        return self._answers(features, rows)[1]

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights and the normalisation: equal for equal models."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
        digest.update(np.ascontiguousarray(self.mean).data)
        digest.update(np.ascontiguousarray(self.std).data)
        return digest.hexdigest()

    def nearest(self, features: NDArray[np.float32], k: int = 5) -> Nearest | None:
        """The training segments and tracks nearest to a song; None without `neighbours`.

        Parameters
        ----------
        features : ndarray, float32, shape (n, *params.shape), the song's segments
        k : int, >= 1, how many of each; fewer where there are no more

        Raises
        ------
        ModelError
            The features are not the model's own, or no numbers.
        SettingsError
            `k` is below 1.
        """
        if self.neighbours is None:
            return None
        return self.neighbours.nearest(self.embeddings(features), features, self.params, k)

    def _answers(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits and embeddings, from one pass through the network."""
        from torch import nn

        # A copy, since another visitor may be using the network while the hook hangs on it.
        private = replace(self, network=copy.deepcopy(self.network))
        layers = [layer for layer in private.network.modules() if isinstance(layer, nn.Linear)]
        if not layers:
            raise ModelError(
                "The network has no linear layer to take embeddings from: use another network."
            )
        taken = [np.empty((0, layers[-1].in_features), np.float32)]

        def keep(_: nn.Module, given: "tuple[Tensor, ...]") -> None:
            taken.append(given[0].detach().flatten(1).float().cpu().numpy())

        layers[-1].register_forward_pre_hook(keep)
        logits = private.logits(features, rows)
        return logits, np.concatenate(taken)

    def probabilities(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.floating]:
        """Calibrated probabilities, shape (n, genres); otherwise as `logits`."""
        return softmax(self.logits(features, rows), self.temperature)

    def classify(self, samples: ArrayLike, *, sample_rate: float) -> Verdict:
        """Judge a song.

        Parameters
        ----------
        samples : array-like, shape (samples,), as `usable_samples` takes them
            Floats with full scale 1, or integers of 16 or 32 bits.
        sample_rate : float, Hz
            They are resampled where it is not ``params.sample_rate``.

        Raises
        ------
        AudioError, SettingsError
            The samples cannot be used.
        """
        samples = resampled(usable_samples(samples), sample_rate, self.params.sample_rate)
        seconds = len(samples) / self.params.sample_rate
        segments = split_segments(samples, self.params)
        if not len(segments):
            least = math.ceil(10 * self.params.segment_seconds) / 10
            return undecided(
                f"Only {seconds:.1f} s long: at least {least:g} s of music are needed."
            )
        if np.abs(samples).max() < _SILENCE_PEAK:
            return undecided("Silence: there is nothing to hear. Check the recording level.")
        features = extract(segments, self.params)
        novelty = None
        if self.neighbours is None:
            rows = self.probabilities(features)
        else:
            logits, embedded = self._answers(features)
            rows = softmax(logits, self.temperature)
            novelty = self.neighbours.rank(embedded, features, self.params)
        mean = rows.mean(axis=0)
        best = int(mean.argmax())
        confidence = float(mean[best])
        doubt = self._doubt(best, confidence, novelty)
        starts = self.params.segment_starts(np.arange(len(rows) + 1)).tolist()
        return Verdict(
            genre=None if doubt else self.genres[best],
            confidence=confidence,
            probabilities=self._named(mean),
            segments=tuple(
                SegmentVerdict(start, min(end, seconds), self._named(row))
                for (start, end), row in zip(pairwise(starts), rows, strict=True)
            ),
            note=doubt,
            novelty=novelty,
        )

    def _doubt(self, best: int, confidence: float, novelty: float | None) -> str:
        """Why the verdict is "not sure", in a sentence; empty where it is sure."""
        genre = self.genres[best].capitalize()
        blind = 1 / len(self.genres)
        if novelty is not None and novelty > UNLIKE:
            return "It sounds unlike anything this model was trained on."
        if confidence < min(self.threshold, blind + _EVEN * (1 - blind)):
            return "No genre stands out."
        if confidence < self.threshold:
            return (
                f"{genre} is likeliest, but {confidence:.0%} is below the {self.threshold:.0%} "
                "under which this model was wrong more often than right."
            )
        if novelty is not None and novelty > EDGE:
            return (
                f"{genre} is likeliest, but the song is at the edge of what this model was "
                "trained on, where it is often wrong."
            )
        return ""

    def classify_file(
        self, source: AudioSource, max_seconds: float | None = MAX_SONG_SECONDS
    ) -> Verdict:
        """Judge a sound file; of a longer one, the first `max_seconds`, which the note says.

        Raises
        ------
        AudioError, SettingsError
            As `genrekit.audio.decoder.load_audio`.
        """
        return self.judge(decode(source, self.params.sample_rate, max_seconds), max_seconds)

    def judge(self, heard: Decoded, max_seconds: float | None) -> Verdict:
        """Judge what was decoded of a song at ``params.sample_rate``, at most `max_seconds`.

        The note says whether there is more, and how the channels were mixed.
        """
        verdict = self.classify(heard.samples, sample_rate=self.params.sample_rate)
        if heard.note:
            verdict = verdict.noting(heard.note)
        return (
            verdict if max_seconds is None or not heard.cut else verdict.of_the_start(max_seconds)
        )

    def _named(self, row: NDArray[np.floating]) -> dict[str, float]:
        return dict(zip(self.genres, row.astype(float).tolist(), strict=True))

    # -- bundles --------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the bundle into `folder`, which is made if need be.

        Raises
        ------
        ModelError
            It cannot be written.
        """
        import torch
        from safetensors.torch import save as save_tensors

        folder = local_path(folder)
        tensors = {f"network.{k}": v.cpu() for k, v in self.network.state_dict().items()}
        tensors["mean"] = torch.from_numpy(self.mean)
        tensors["std"] = torch.from_numpy(self.std)
        weights = save_tensors(tensors)
        about = {
            "format": _FORMAT,
            "network": self.network_name,
            "genres": list(self.genres),
            "params": self.params.to_dict(),
            "temperature": self.temperature,
            "threshold": self.threshold,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "card": without_nan(self.card),
        }
        text = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        with plain_os_errors("written", folder, ModelError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / NEIGHBOURS_FILE).unlink(missing_ok=True)
            for name, content in ((_WEIGHTS_FILE, weights), (_CARD_FILE, text.encode())):
                with atomic_write(folder / name) as temporary:
                    temporary.write_bytes(content)
        if self.neighbours is not None:
            self.neighbours.save(folder)

    @classmethod
    def load(cls, name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL) -> Self:
        """Read a bundle, by the name of a model that ships or by its folder.

        Raises
        ------
        ModelError
            There is none, or it is damaged.
        """
        folder = local_path(name_or_folder)
        if _is_name(os.fspath(name_or_folder)):
            folder = MODELS / folder
        if not (folder / _CARD_FILE).is_file():
            raise ModelError(
                f'There is no model "{name_or_folder}": name a folder that `genrekit train` '
                f"made, or one of {', '.join(sorted(p.name for p in MODELS.glob('*/')))}."
            )
        with plain_os_errors("read", folder, ModelError):
            text = (folder / _CARD_FILE).read_bytes()
            weights = (folder / _WEIGHTS_FILE).read_bytes()
        try:
            found = cls._from_bytes(json.loads(text), weights)
            if (folder / NEIGHBOURS_FILE).is_file():
                known = Neighbours.load(folder, found.weights_sha256)
                found = replace(found, neighbours=known)
            return found
        except ModelError:
            raise
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            RuntimeError,
            GenreKitError,
            SafetensorError,
        ) as error:
            if lacks_memory(error):
                raise
            raise ModelError(
                f"The model in {folder} is damaged or was not made by GenreKit: train it again."
            ) from None

    @classmethod
    def _from_bytes(cls, about: Mapping[str, Any], weights: bytes) -> Self:
        import torch
        from safetensors.torch import load as load_tensors

        from genrekit.model.networks import build_network

        if about["format"] != _FORMAT:
            raise ModelError(
                f"The model is of format {about['format']!r:.20}, this GenreKit reads {_FORMAT}: "
                "update GenreKit or train the model again."
            )
        if hashlib.sha256(weights).hexdigest() != about["weights_sha256"]:
            raise ModelError(
                "The model's weights do not belong to its card: copy both files again."
            )
        params = FeatureParams.from_dict(about["params"])
        genres = tuple(str(genre) for genre in about["genres"])
        tensors = load_tensors(weights)
        mean, std = tensors.pop("mean").numpy(), tensors.pop("std").numpy()
        if len(set(genres)) != len(genres) or len(genres) < 2:
            raise ValueError
        # Without memory at first, whatever sizes the card asks for: the weights bring their own.
        with torch.device("meta"):
            network = build_network(about["network"], params.shape, len(genres))
        wanted = network.state_dict()
        state = {k.removeprefix("network."): v for k, v in tensors.items()}
        if any(wanted[k].dtype != v.dtype or not v.isfinite().all() for k, v in state.items()):
            raise ValueError
        network.load_state_dict(state, assign=True)
        if mean.shape != (params.coefficients,) or std.shape != mean.shape or not (std > 0).all():
            raise ValueError
        if mean.dtype != np.float32 or std.dtype != np.float32 or not np.isfinite(mean).all():
            raise ValueError
        temperature, threshold = float(about["temperature"]), float(about["threshold"])
        if not 1e-6 < temperature < 1e6 or not 0 <= threshold <= 1:
            raise ValueError
        return cls(
            network.eval(),
            about["network"],
            params,
            genres,
            mean,
            std,
            temperature,
            threshold,
            dict(about["card"]),
        )


def _is_name(name: str) -> bool:
    """Whether it is the bare name of a model that ships; a folder of that name comes second."""
    return Path(name).name == name and (MODELS / name / _CARD_FILE).is_file()
