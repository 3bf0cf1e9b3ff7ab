"""The first verdict: one file classified by a fresh process that has compiled nothing yet.

GenreKit: `python -m genrekit classify FILE --model MODEL --json`. The straightforward way: a
script that loads the file and computes each segment's MFCCs with librosa, and applies the same
weights. Both are timed from start to exit, with an empty numba cache each time and with the
libraries' files in the operating system's memory already.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.compare import DisagreementError, Figures, compare, python, timed, within

LIMIT = 1e-3


def cold(runs: int = 5, model: Path | None = None) -> Figures:
    """Compare on a generated song of 30 s."""
    import soundfile

    from genrekit.audio.synth.chart import STYLES
    from genrekit.audio.synth.rendering import render
    from genrekit.model.bundle import MODELS

    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        song = work / "song.wav"
        soundfile.write(song, render(STYLES[0], seed=0, seconds=30), 22050)
        shipped = MODELS / "course-mlp"  # the network that is quickly written again
        bundle = model or (shipped if shipped.is_dir() else _tiny_model(work))
        classify = ["-m", "genrekit", "classify", str(song), "--model", str(bundle), "--json"]
        straightforward = ["-m", "benchmarks.speed.cold", str(song), str(bundle)]
        return compare(
            "cold, the first verdict on a song of 30 s",
            partial(timed, partial(_first_time, *classify)),
            partial(timed, partial(_first_time, *straightforward)),
            check,
            runs=runs,
            goal=4,
        )


def check(ours: str, theirs: str) -> str:
    """Check that the probabilities of all genres agree."""
    a, b = json.loads(ours)[0]["probabilities"], json.loads(theirs)
    if a.keys() != b.keys():
        raise DisagreementError(f"Genres differ: {sorted(a)} and {sorted(b)}.")
    return within(max(abs(a[genre] - b[genre]) for genre in a), LIMIT, "probabilities")


def _first_time(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as numba_cache:
        return python(*arguments, numba_cache=Path(numba_cache))


def _tiny_model(work: Path) -> Path:
    """Return a model trained for a moment on noise, which is enough for timing."""
    from benchmarks.speed.training import make_dataset
    from genrekit.dataset.splits import by_segment
    from genrekit.training.loop import train
    from genrekit.training.params import TrainParams

    data = make_dataset(200)
    run = train(data, by_segment(data), TrainParams(epochs=2, normalise=True))
    for _ in run:
        pass
    run.model().save(work / "model")
    return work / "model"


def straightforward(song: Path, bundle: Path) -> dict[str, Any]:
    """Return mean probabilities over a song's segments, with librosa and PyTorch alone."""
    import librosa
    import numpy as np
    import torch
    from safetensors.torch import load_file
    from torch import nn

    about = json.loads((bundle / "model.json").read_text())
    params, weights = about["params"], load_file(bundle / "weights.safetensors")
    mean, std = weights.pop("mean").numpy(), weights.pop("std").numpy()
    linear = [f"network.{i}" for i in (1, 3, 5, 7)]
    if about["network"] != "mlp" or params["kind"] != "mfcc":
        raise SystemExit("Only a model of the course's network on MFCCs can be compared.")
    layers: list[nn.Module] = [nn.Flatten()]
    for name in linear:
        n_out, n_in = weights[f"{name}.weight"].shape
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict({k.removeprefix("network."): v for k, v in weights.items()})
    rate = params["sample_rate"]
    length = int(rate * params["segment_seconds"])
    signal, _ = librosa.load(song, sr=rate)
    segments = []
    for start in range(0, len(signal) - length + 1, length):
        power = librosa.feature.melspectrogram(
            y=signal[start : start + length],
            sr=rate,
            n_fft=params["n_fft"],
            hop_length=params["hop_length"],
            center=params["center"],
            n_mels=params["n_mels"],
            htk=params["mel_formula"] == "htk",
        )
        decibels = librosa.power_to_db(power, ref=np.max if params["ref"] == "max" else 1.0)
        segments.append(librosa.feature.mfcc(S=decibels, n_mfcc=params["n_mfcc"]).T)
    rows = (np.array(segments, np.float32) - mean) / std
    with torch.no_grad():
        logits = network(torch.from_numpy(rows)) / about["temperature"]
    probabilities = logits.softmax(1).mean(0).tolist()
    return dict(zip(about["genres"], probabilities, strict=True))


if __name__ == "__main__":
    print(json.dumps(straightforward(Path(sys.argv[1]), Path(sys.argv[2]))))
