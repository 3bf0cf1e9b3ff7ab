"""Training the course's network.

GenreKit: `genrekit.training.loop.train`. The straightforward way: `nn.Linear` layers, a
`DataLoader` over a `TensorDataset`, Adam as it comes, loss and accuracy read after each batch,
validation in batches. Same first weights, same order of examples; timed from the arrays to the
history.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from benchmarks.speed.compare import Figures, compare, timed, within
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import Split, by_segment
from genrekit.features.extraction import FeatureParams
from genrekit.model.networks import build_network
from genrekit.training.loop import train
from genrekit.training.params import TrainParams

# Adam's fused and plain forms round differently, as do the products; training carries that on.
LIMIT = 1e-3
History = list[tuple[float, float]]


def training(runs: int = 5, segments: int = 2000, epochs: int = 5) -> Figures:
    """Compare on random segments with something to learn in them."""
    data = make_dataset(segments)
    split = by_segment(data, seed=0)
    params = TrainParams(epochs=epochs, device="cpu")
    return compare(
        f"training, {segments} segments of 130x13, {epochs} epochs, batches of 32, "
        f"{torch.get_num_threads()} threads",
        partial(timed, partial(_ours, data, split, params)),
        partial(timed, partial(_theirs, data, split, params)),
        check,
        runs=runs,
        warm_up=True,
        goal=1.9,
    )


def make_dataset(segments: int, genres: int = 10) -> Dataset:
    """Return noise around a random spectrum for each genre, in the range of real MFCCs."""
    rng = np.random.default_rng(0)
    shape = FeatureParams().shape
    labels = np.arange(segments) % genres
    means = rng.normal(0, 10, (genres, 1, shape[1]))
    features = means[labels] + rng.normal(0, 30, (segments, *shape))
    names = tuple(f"genre {i}" for i in range(genres))
    return Dataset(features.astype(np.float32), labels, names, FeatureParams())


def check(ours: History, theirs: History) -> str:
    """Check that training and validation losses of every epoch agree."""
    return within(float(np.abs(np.subtract(ours, theirs)).max()), LIMIT, "losses of all epochs")


def _ours(data: Dataset, split: Split, params: TrainParams) -> History:
    return [(epoch.train_loss, epoch.valid_loss) for epoch in train(data, split, params)]


class _SameOrder(Sampler[int]):
    """A shuffling sampler, in the order of GenreKit's seed."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.count, generator=self.generator).tolist())


def _plain_network(data: Dataset, seed: int) -> nn.Module:
    """Return the course's network in plain PyTorch, with GenreKit's first weights."""
    frames, coefficients = data.params.shape
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(frames * coefficients, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, len(data.genres)),
    )
    ours = build_network("mlp", data.params.shape, len(data.genres), seed)
    network.load_state_dict(ours.state_dict())
    return network


def _theirs(data: Dataset, split: Split, params: TrainParams) -> History:
    def examples(rows: np.ndarray) -> TensorDataset:
        x, y = torch.tensor(data.features[rows]), torch.tensor(data.labels[rows])
        return TensorDataset(x, y)

    train_set, valid_set = examples(split.train), examples(split.valid)
    order = _SameOrder(len(train_set), params.seed)
    train_loader = DataLoader(train_set, batch_size=params.batch_size, sampler=order)
    valid_loader = DataLoader(valid_set, batch_size=params.batch_size)
    model = _plain_network(data, params.seed)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=params.learning_rate)
    history = []
    for _ in range(params.epochs):
        model.train()
        running, correct = 0.0, 0
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running += loss.item() * inputs.size(0)
            correct += (outputs.argmax(1) == labels).sum().item()
        model.eval()
        valid_running, valid_correct = 0.0, 0
        with torch.no_grad():
            for inputs, labels in valid_loader:
                outputs = model(inputs)
                valid_running += criterion(outputs, labels).item() * inputs.size(0)
                valid_correct += (outputs.argmax(1) == labels).sum().item()
        history.append((running / len(train_set), valid_running / len(valid_set)))
    return history
