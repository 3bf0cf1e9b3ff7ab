"""A model: a trained network with everything needed to use and to judge it.

A bundle is a folder with ``weights.safetensors``, ``model.json`` (the network's name, the feature
parameters, the genres, the calibration, and the card: the figures, with the data and the split
they were measured on) and, optionally, ``neighbours.safetensors`` (the training music, see
`genrekit.model.neighbours`). The weights of a network with tags hold their reference population
too (`genrekit.model.tags`). Nothing in a bundle is ever executed.

PyTorch is imported only where it computes.
"""

import hashlib
import json
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError

from genrekit.audio.decoder import Decoded, decode
from genrekit.audio.samples import resampled, usable_samples
from genrekit.audio.source import AudioSource
from genrekit.errors import GenreKitError, ModelError, SettingsError
from genrekit.features.extraction import FeatureParams, extract, split_segments
from genrekit.model.familiarity import EDGE, SURE_AT_THE_EDGE, UNLIKE
from genrekit.model.metrics import GEOMETRIC, is_candidate, mean_by_group, softmax
from genrekit.model.neighbours import Nearest, Neighbours
from genrekit.model.neighbours_file import NEIGHBOURS_FILE, load_neighbours, save_neighbours
from genrekit.model.tags import QUANTILES, TAGS, SoundsLike, TagReference
from genrekit.model.verdicts import SegmentVerdict, Verdict
from genrekit.system.files import atomic_write, plain_os_errors, without_nan
from genrekit.system.memory import lacks_memory, rows_at_once
from genrekit.system.notebook import Bar, picture
from genrekit.system.remote import local_path
from genrekit.system.shipped import shipped_folder
from genrekit.wording import alternatives, counted, in_one_line, the_first

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["DEFAULT_MODEL", "MODELS", "GenreModel", "load_model"]

MODELS: Final = shipped_folder() / "models"
DEFAULT_MODEL: Final = "everyday"
MAX_SONG_SECONDS: Final = 900.0

_FORMAT: Final = 1
_CARD_FILE: Final = "model.json"
_WEIGHTS_FILE: Final = "weights.safetensors"
_TAG_TABLES: Final = ("tags.songs", "tags.segments")
_DAMAGE: Final = (KeyError, TypeError, ValueError, AttributeError, RuntimeError)
# -60 dBFS: quieter than the noise floor of most recordings of music.
_SILENCE_PEAK: Final = 1e-3
# A confidence less than this part of the way from a blind guess to certainty says nothing.
_EVEN: Final = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class GenreModel:
    """A trained network, ready to use.

    Attributes
    ----------
    network_name : a key of `genrekit.model.networks.NETWORKS`
    genres : tuple of str, in the order of the network's outputs
    mean, std : ndarray, float32, shape (coefficients,)
        Features are normalised as ``(x - mean) / std``; zeros and ones where they are not.
    temperature : float
        Divides the logits, fitted on the validation part (Guo et al. 2017).
    threshold : float
        Below this confidence the verdict is "not sure".
    candidate_limit : float, 0 to 1
        Genres this probable are candidates (see `metrics.choose_candidate_limit`); 0 for none.
    card : dict
        Data, split, recipe, history and figures, as plain values.
    neighbours : Neighbours or None
        The training music; without it, no song is too far from it.
    tags : TagReference or None
        The reference population of the network's tags, where it has some.

    Examples
    --------
    >>> genrekit.load_model("gtzan-cnn")
    GenreModel cnn: log_mel of 2.95 s at 22,050 Hz, 37 × 128
    10 genres: blues, classical, country, disco, hiphop, jazz, metal, pop, reggae, rock
    69% of tracks right on test. Fair: no track stands on both sides of the split.
    """

    network: "nn.Module"
    network_name: str
    params: FeatureParams
    genres: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    temperature: float = 1.0
    threshold: float = 0.0
    candidate_limit: float = 0.0
    card: dict[str, Any] = field(default_factory=dict)
    neighbours: Neighbours | None = None
    tags: TagReference | None = None

    def __repr__(self) -> str:
        genres = f"{counted(len(self.genres), 'genre')}: {', '.join(self.genres)}"
        return "\n".join((self._title(), in_one_line(genres), self._score()))

    def _repr_html_(self) -> str:
        measured = self.card.get("measured", {})
        found = zip(measured.get("genres", ()), measured.get("recall", ()), strict=True)
        bars = [
            Bar(genre, share, f"{share:.0%} found")
            for genre, share in found
            if share is not None and math.isfinite(share)
        ]
        return picture(self._title(), bars or [Bar(g, 0.0, "") for g in self.genres], self._score())

    def _title(self) -> str:
        params = self.params
        return (
            f"GenreModel {self.network_name}: {params.kind} of {params.segment_seconds:.3g} s "
            f"at {params.sample_rate:,} Hz, {params.frames} × {params.coefficients}"
        )

    def _score(self) -> str:
        measured = self.card.get("measured")
        if not measured:
            return "Not measured."
        by_track = measured.get("track_accuracy")
        share = measured["segment_accuracy"] if by_track is None else by_track
        what = "segments" if by_track is None else "tracks"
        return in_one_line(
            f"{share:.0%} of {what} right on {measured['part']}. {self.card['split']['worth']}"
        )

    # -- use ------------------------------------------------------------------------------

    def logits(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return the network's outputs before temperature, float32, shape (n, genres).

        A network that knows what is no music has one column more.

        Parameters
        ----------
        features : ndarray, float32, shape (m, *params.shape), from `features.extract`
        rows : ndarray, int64, shape (n,), or None
            Only these rows of the features, read in batches.

        Raises
        ------
        ModelError
            The features have another shape, or the outputs are not finite.
        """
        import torch

        if features.shape[1:] != self.params.shape:
            raise ModelError(
                f"The model takes segments of shape {self.params.shape}, these have "
                f"{features.shape[1:]}: compute them with the model's own parameters."
            )
        self.network.eval()
        device = next(chain(self.network.parameters(), self.network.buffers())).device
        count = len(features if rows is None else rows)
        if not count:
            return np.empty((0, len(self.genres)), np.float32)
        results = []
        step = rows_at_once(self.params.shape)
        with torch.inference_mode():
            for start in range(0, count, step):
                part = slice(start, start + step)
                batch = features[part if rows is None else rows[part]] - self.mean
                batch /= self.std
                results.append(self.network(torch.from_numpy(batch).to(device)).cpu().numpy())
        logits = np.concatenate(results)
        if not np.isfinite(logits).all():
            raise ModelError(
                "The model's outputs are not finite, so its weights are damaged: train it again."
            )
        return logits

    def embeddings(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return the inputs of the network's head, shape (n, e), as `logits` does.

        The head is the part of that name, else the last linear layer. A network without either
        raises ModelError too.
        """
        return self._outputs(features, rows)[1]

    @property
    def geometric(self) -> bool:
        """True if a song's probabilities are the geometric mean of its segments', normalised."""
        return self.network_name in GEOMETRIC

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights and the normalisation."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
        digest.update(np.ascontiguousarray(self.mean).data)
        digest.update(np.ascontiguousarray(self.std).data)
        return digest.hexdigest()

    def nearest(self, features: NDArray[np.float32], k: int = 5) -> Nearest | None:
        """Return the training segments and tracks nearest to a song, as `Neighbours.nearest`.

        None without `neighbours`.
        """
        if self.neighbours is None:
            return None
        return self.neighbours.nearest(self.embeddings(features), features, self.params, k)

    def _outputs(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits and embeddings from one pass through the network."""
        from torch import nn

        linear = [layer for layer in self.network.modules() if isinstance(layer, nn.Linear)]
        head = getattr(self.network, "head", linear[-1] if linear else None)
        if head is None:
            raise ModelError(
                "The network has no linear layer to take embeddings from: use another network."
            )
        embeddings = [np.empty((0, head.in_features), np.float32)]
        this_thread = threading.get_ident()

        def keep(_: nn.Module, inputs: "tuple[Tensor, ...]") -> None:
            # Another thread may use the same network now.
            if threading.get_ident() == this_thread:
                embeddings.append(inputs[0].flatten(1).float().cpu().numpy())

        with head.register_forward_pre_hook(keep):
            logits = self.logits(features, rows)
        return logits, np.concatenate(embeddings)

    def probabilities(
        self, features: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.floating]:
        """Return calibrated probabilities, shape (n, genres), as `logits` does."""
        return self.calibrated(self.logits(features, rows))

    def calibrated(self, logits: NDArray[np.float32]) -> NDArray[np.floating]:
        """Return the probabilities of the genres, shape (n, genres), from `logits`."""
        return softmax(logits, self.temperature)[:, : len(self.genres)]

    def classify(
        self,
        song: AudioSource | ArrayLike,
        *,
        sample_rate: float | None = None,
        max_seconds: float | None = MAX_SONG_SECONDS,
    ) -> Verdict:
        """Judge a song.

        Parameters
        ----------
        song : path, bytes, or a binary file open for reading; or array-like, shape (samples,)
            Samples are floats with full scale 1, or integers of 16 or 32 bits.
        sample_rate : float, Hz
            Of samples, which need it; files have their own.
        max_seconds : float or None
            Of a file, only this much from the start is heard.

        Raises
        ------
        AudioError, SettingsError
            The file, as of `load_audio`, or the samples cannot be used.

        Examples
        --------
        >>> from genrekit import load_model, render
        >>> song = render("jazz", seed=1, seconds=9)
        >>> verdict = load_model("gtzan-cnn").classify(song, sample_rate=22050)
        >>> len(verdict.segments)
        3
        """
        rate = self.params.sample_rate
        if sample_rate is not None:
            samples = usable_samples(cast(ArrayLike, song))
            return self._classify_samples(resampled(samples, sample_rate, rate))
        if hasattr(song, "__array__") or isinstance(song, list | tuple):
            raise SettingsError(
                "Samples do not say how many there are in a second: give sample_rate too, such as "
                "sample_rate=22050."
            )
        return self.judge(decode(cast(AudioSource, song), rate, max_seconds), max_seconds)

    def _classify_samples(self, samples: NDArray[np.float32]) -> Verdict:
        seconds = len(samples) / self.params.sample_rate
        segments = split_segments(samples, self.params)
        if not len(segments):
            least = math.ceil(10 * self.params.segment_seconds) / 10
            return _undecided(
                f"Only {seconds:.1f} s long: at least {least:g} s of music are needed."
            )
        if np.abs(samples).max() < _SILENCE_PEAK:
            return _undecided("Silence: there is nothing to hear. Check the recording level.")
        features = extract(segments, self.params)
        embeddings = np.empty((len(features), 0), np.float32)
        if self.neighbours is None and self.tags is None:  # a network need not have embeddings
            rows = self.probabilities(features)
        else:
            logits, embeddings = self._outputs(features)
            rows = self.calibrated(logits)
        novelty = None
        if self.neighbours is not None:
            novelty = self.neighbours.novelty(embeddings, features, self.params)
        one_song = np.zeros(len(rows), np.int64)
        mean = mean_by_group(rows, one_song, one_song, self.geometric)[0][0]
        best = int(mean.argmax())
        doubt = self._doubt(best, mean, novelty or 0.0)
        sounds_like, of_segments = self._tagged(embeddings, not _is_no_music(mean))
        starts = self.params.segment_starts(np.arange(len(rows) + 1)).tolist()
        return Verdict(
            genre=None if doubt else self.genres[best],
            confidence=float(mean[best]),
            probabilities=self._named(mean),
            segments=tuple(
                SegmentVerdict(start, min(end, seconds), self._named(row), tags)
                for (start, end), row, tags in zip(pairwise(starts), rows, of_segments, strict=True)
            ),
            note=doubt,
            novelty=novelty,
            candidates=self._candidates(mean, novelty or 0.0),
            sounds_like=sounds_like,
        )

    def _tagged(
        self, embeddings: NDArray[np.float32], is_music: bool
    ) -> tuple[tuple[SoundsLike, ...], list[dict[str, float]]]:
        """Return the tags of a song and of its segments; empty where the network has none."""
        if self.tags is None:
            return (), [{} for _ in embeddings]
        log_odds = self.tag_log_odds(embeddings)
        return self.tags.of_song(log_odds, is_music), self.tags.of_segments(log_odds)

    def tag_log_odds(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log-odds of `genrekit.model.tags.TAGS`, shape (n, tags), from `embeddings`.

        Raise ModelError if the network has no tags.
        """
        import torch

        from genrekit.model.backbone import Everyday

        if not isinstance(self.network, Everyday):
            raise ModelError(f"The network {self.network_name} knows no tags: use everyday.")
        with torch.inference_mode():
            return self.network.backbone.tags(torch.from_numpy(embeddings)).numpy()

    def _candidates(self, mean: NDArray[np.floating], novelty: float) -> tuple[str, ...]:
        """Return the genres above the limit, the likeliest first.

        Empty without a limit, and where the song is unlike those that the limit holds for.
        """
        if not self.candidate_limit or novelty > UNLIKE or _is_no_music(mean):
            return ()
        chosen = is_candidate(mean[np.newaxis], self.candidate_limit)[0]
        return tuple(self.genres[i] for i in np.argsort(-mean) if chosen[i])

    def _doubt(self, best: int, mean: NDArray[np.floating], novelty: float) -> str:
        """Return the reason why the verdict is "not sure"; empty where it is sure."""
        genre, confidence = self.genres[best].capitalize(), float(mean[best])
        blind = 1 / len(self.genres)
        if _is_no_music(mean):
            return "It does not sound like music to this model."
        if novelty > UNLIKE:
            return "It sounds unlike anything this model was trained on."
        if confidence < min(self.threshold, blind + _EVEN * (1 - blind)):
            return "No genre stands out."
        if confidence < self.threshold:
            return (
                f"{genre} is likeliest, but {confidence:.0%} is below the {self.threshold:.0%} "
                "from which this model names a genre."
            )
        if novelty > EDGE and self.network_name not in SURE_AT_THE_EDGE:
            return (
                f"{genre} is likeliest, but the song is at the edge of what this model was "
                "trained on, where it is often wrong."
            )
        return ""

    def judge(self, audio: Decoded, max_seconds: float | None) -> Verdict:
        """Judge audio decoded at ``params.sample_rate``, at most `max_seconds` of a song.

        The note says if the song is longer, and how its channels were mixed.
        """
        verdict = self._classify_samples(audio.samples)
        if audio.note:
            verdict = verdict.with_note(audio.note)
        if max_seconds is None or not audio.cut:
            return verdict
        part = the_first(max_seconds)
        return verdict.with_note(f"Only {part} {'were' if part.endswith('s') else 'was'} heard.")

    def _named(self, row: NDArray[np.floating]) -> dict[str, float]:
        return dict(zip(self.genres, row.astype(float).tolist(), strict=True))

    # -- bundles --------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the bundle into `folder`, or raise ModelError."""
        import torch
        from safetensors.torch import save as save_tensors

        folder = local_path(folder)
        tensors = {f"network.{k}": v.cpu() for k, v in self.network.state_dict().items()}
        tensors["mean"] = torch.from_numpy(self.mean)
        tensors["std"] = torch.from_numpy(self.std)
        if self.tags is not None:
            tables = (self.tags.songs, self.tags.segments)
            tensors |= zip(_TAG_TABLES, map(torch.from_numpy, tables), strict=True)
        weights = save_tensors(tensors)
        about = {
            "format": _FORMAT,
            "network": self.network_name,
            "genres": self.genres,
            "params": self.params.to_dict(),
            "temperature": self.temperature,
            "threshold": self.threshold,
            "candidate_limit": self.candidate_limit,
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
            save_neighbours(self.neighbours, folder)


def load_model(name_or_folder: str | os.PathLike[str] = DEFAULT_MODEL) -> GenreModel:
    """Read a model by its folder, or by the name of one that ships.

    Raise ModelError if there is none, or it is damaged.

    Examples
    --------
    >>> load_model("gtzan-cnn").genres[:3]
    ('blues', 'classical', 'country')
    """
    folder = local_path(name_or_folder)
    name = os.fspath(name_or_folder)
    if Path(name).name == name and (MODELS / name / _CARD_FILE).is_file():
        folder = MODELS / name  # the name of a model that ships precedes a folder's
    if not (folder / _CARD_FILE).is_file():
        shipped = sorted(card.parent.name for card in MODELS.glob(f"*/{_CARD_FILE}"))
        raise ModelError(
            f'There is no model "{name_or_folder}": name a folder that `genrekit train` '
            f"made, or use {alternatives(shipped)}."
        )
    with plain_os_errors("read", folder, ModelError):
        text = (folder / _CARD_FILE).read_bytes()
        weights = (folder / _WEIGHTS_FILE).read_bytes()
    try:
        model = _model_from(json.loads(text), weights)
        if (folder / NEIGHBOURS_FILE).is_file():
            known = load_neighbours(folder, model.weights_sha256)
            model = replace(model, neighbours=known)
        return model
    except ModelError:
        raise
    except (*_DAMAGE, GenreKitError, SafetensorError) as error:
        if lacks_memory(error):
            raise
        raise ModelError(
            f"The model in {folder} is damaged or was not made by GenreKit: train it again."
        ) from None


def _model_from(about: Mapping[str, Any], weights: bytes) -> GenreModel:
    import torch
    from safetensors.torch import load as load_tensors

    from genrekit.model.networks import build_network

    if about["format"] != _FORMAT:
        raise ModelError(
            f"The model is of format {about['format']!r:.20}, this GenreKit reads {_FORMAT}: "
            "update GenreKit or train the model again."
        )
    if hashlib.sha256(weights).hexdigest() != about["weights_sha256"]:
        raise ModelError("The model's weights do not belong to its card: copy both files again.")
    params = FeatureParams.from_dict(about["params"])
    genres = tuple(str(genre) for genre in about["genres"])
    tensors = load_tensors(weights)
    mean, std = tensors.pop("mean").numpy(), tensors.pop("std").numpy()
    tags = _tag_reference(tensors)
    if len(set(genres)) != len(genres) or len(genres) < 2:
        raise ValueError
    # On no device: a card may ask for sizes beyond memory, and the weights bring their own.
    with torch.device("meta"):
        network = build_network(about["network"], params.shape, len(genres))
    wanted = network.state_dict()
    state = {k.removeprefix("network."): v for k, v in tensors.items()}
    if any(wanted[k].dtype != v.dtype or not v.isfinite().all() for k, v in state.items()):
        raise ValueError
    network.load_state_dict(state, assign=True)
    for array in (mean, std):
        if array.shape != (params.coefficients,) or array.dtype != np.float32:
            raise ValueError
    temperature, threshold = float(about["temperature"]), float(about["threshold"])
    candidate_limit = float(about.get("candidate_limit", 0))  # older models have none
    in_range = 1e-6 < temperature < 1e6 and 0 <= threshold <= 1 and 0 <= candidate_limit <= 1
    if not (in_range and (std > 0).all() and np.isfinite(mean).all()):
        raise ValueError
    return GenreModel(
        network.eval(),
        about["network"],
        params,
        genres,
        mean,
        std,
        temperature,
        threshold,
        candidate_limit,
        dict(about["card"]),
        tags=tags,
    )


def _tag_reference(tensors: "dict[str, Tensor]") -> TagReference | None:
    """Take the tags' reference population out of a bundle's tensors, or raise ValueError."""
    tables = [tensors.pop(name).numpy() for name in _TAG_TABLES if name in tensors]
    if not tables:
        return None
    for table in tables:
        plain = table.dtype == np.float32 and table.shape == (len(TAGS), QUANTILES)
        if not (plain and np.isfinite(table).all() and (np.diff(table) >= 0).all()):
            raise ValueError
    return TagReference(*tables)


def _is_no_music(mean: NDArray[np.floating]) -> bool:
    """Return True if "no music", which has what the genres lack of 1, is likelier than each."""
    return bool(1 - mean.sum() > mean.max())


def _undecided(note: str) -> Verdict:
    return Verdict(None, 0.0, {}, (), note)
