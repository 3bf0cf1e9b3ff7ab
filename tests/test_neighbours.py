"""Neighbours: found by brute force, flagged when copies, and refused when damaged."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from alike import assert_alike
from safetensors.numpy import load, save
from scipy.spatial.distance import cdist

from genrekit import neighbours as module
from genrekit.errors import DatasetError, ModelError, SettingsError
from genrekit.model import GenreModel
from genrekit.neighbours import (
    NEIGHBOURS_FILE,
    Neighbours,
    embeddings,
    weights_hash,
)
from genrekit.splits import by_track


def model_of(network, params, genres=("a", "b", "c")):
    width = params.coefficients
    zeros, ones = np.zeros(width, np.float32), np.ones(width, np.float32)
    return GenreModel(network.eval(), "own", params, genres, zeros, ones)


@pytest.fixture(scope="module")
def plain(small):
    """A network whose embedding is the segment itself."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(small.frames * small.n_mfcc, 3)
    return model_of(torch.nn.Sequential(torch.nn.Flatten(), layer), small)


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(tracks=3, segments=3)


@pytest.fixture(scope="module")
def fitted(plain, dataset):
    return Neighbours.fit(plain, dataset, np.arange(len(dataset)))


# -- embeddings -------------------------------------------------------------------------------


def test_an_embedding_is_what_the_last_layer_takes_in(demo_model, demo, monkeypatch):
    network = demo_model.network
    x = torch.from_numpy((demo.features - demo_model.mean) / demo_model.std)
    with torch.inference_mode():
        expected = torch.nn.Sequential(*list(network)[:-1])(x).numpy()
    np.testing.assert_allclose(embeddings(demo_model, demo.features), expected, atol=1e-5)
    monkeypatch.setattr("genrekit.model.rows_at_once", lambda _: 5)
    np.testing.assert_allclose(embeddings(demo_model, demo.features), expected, atol=1e-5)
    assert embeddings(demo_model, demo.features[:0]).shape == (0, 64)


def test_no_hook_stays_behind_and_visitors_do_not_meet(demo_model, demo):
    parts = [demo.features[i : i + 4] for i in range(0, 36, 4)]
    alone = [embeddings(demo_model, part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: embeddings(demo_model, part), parts * 5))
    for i, found in enumerate(together):
        np.testing.assert_allclose(found, alone[i % len(parts)], atol=1e-5)
    assert not any(layer._forward_pre_hooks for layer in demo_model.network.modules())


def test_a_convolutional_network(small):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv1d(small.n_mfcc, 6, 3)
            self.head = torch.nn.Linear(6, 3)

        def forward(self, x):
            return self.head(self.convolution(x.transpose(1, 2)).mean(dim=2))

    x = np.random.default_rng(0).normal(size=(4, *small.shape)).astype(np.float32)
    net = Net()
    with torch.inference_mode():
        expected = net.convolution(torch.from_numpy(x).transpose(1, 2)).mean(dim=2)
    np.testing.assert_allclose(embeddings(model_of(net, small), x), expected, atol=1e-5)


def test_a_network_without_a_linear_layer(small):
    class Net(torch.nn.Conv1d):
        def forward(self, x):
            return super().forward(x.transpose(1, 2)).mean(dim=2)

    with pytest.raises(ModelError, match="no linear layer"):
        embeddings(model_of(Net(small.n_mfcc, 3, 1), small), np.zeros((1, *small.shape), "f4"))


# -- fitting ----------------------------------------------------------------------------------


def test_distances_are_those_between_the_segments(fitted, dataset):
    """27 segments span 26 dimensions, so that 32 components lose nothing."""
    assert fitted.vectors.shape == (27, 26)
    assert fitted.vectors.dtype == np.float16
    flat = dataset.features.reshape(27, -1).astype(np.float64)
    unit = np.sqrt(np.mean(np.sum((flat - flat.mean(axis=0)) ** 2, axis=1)))
    mine = fitted.vectors.astype(np.float64)
    np.testing.assert_allclose(cdist(mine, mine), cdist(flat, flat) / unit, atol=3e-3)


def test_at_most_32_components_and_they_are_the_strongest(plain, make_dataset):
    dataset = make_dataset(tracks=6, segments=4)
    found = Neighbours.fit(plain, dataset, np.arange(len(dataset)))
    assert found.vectors.shape == (72, 32)
    flat = dataset.features.reshape(72, -1).astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(flat.T, bias=True))[::-1][:32]
    spread = found.vectors.astype(np.float64).var(axis=0)
    np.testing.assert_allclose(spread, values / np.trace(np.cov(flat.T, bias=True)), rtol=0.02)


def test_what_is_remembered_of_each_segment(plain, make_dataset):
    dataset = make_dataset()
    rows = np.random.default_rng(0).permutation(len(dataset))[:50]
    found = Neighbours.fit(plain, dataset, rows)
    known = {
        (found.tracks[t], p, s, found.genres[g])
        for t, p, s, g in zip(found.track_of, found.places, found.starts, found.labels, strict=True)
    }
    expected = {
        (
            dataset.tracks[r],
            dataset.segments[r],
            dataset.segments[r] * 1.0,
            "abc"[dataset.labels[r]],
        )
        for r in rows
    }
    assert known == expected
    halved = Neighbours.fit(plain, dataset, rows, step_seconds=0.5)
    np.testing.assert_allclose(halved.starts, found.places * 0.5)


def test_places_are_counted_where_they_are_not_known(plain, dataset):
    bare = replace(dataset, segments=None)
    order = np.random.default_rng(1).permutation(len(dataset))
    found = Neighbours.fit(plain, bare, order)
    np.testing.assert_array_equal(found.places, np.tile([0, 1, 2], 9))


def test_what_cannot_be_fitted(plain, dataset, small):
    with pytest.raises(DatasetError, match="does not know its tracks"):
        Neighbours.fit(plain, replace(dataset, tracks=None), np.arange(9))
    with pytest.raises(DatasetError, match="1 training tracks are too few"):
        Neighbours.fit(plain, dataset, np.arange(3))
    with pytest.raises(DatasetError, match="0 training tracks"):
        Neighbours.fit(plain, dataset, np.arange(0))
    with pytest.raises(ModelError, match="other parameters"):
        Neighbours.fit(replace(plain, params=replace(small, n_fft=1024)), dataset, np.arange(9))
    same = replace(dataset, features=np.ones_like(dataset.features))
    with pytest.raises(ModelError, match="hears no difference"):
        Neighbours.fit(plain, same, np.arange(9))


# -- asking -----------------------------------------------------------------------------------


def test_the_nearest_by_brute_force(plain, make_dataset, monkeypatch):
    dataset = make_dataset()
    split = by_track(dataset, seed=0)
    found = Neighbours.fit(plain, dataset, split.train)
    song = dataset.features[dataset.tracks == dataset.tracks[split.valid[0]]]
    flat = dataset.features[split.train].reshape(len(split.train), -1).astype(np.float64)
    centre = flat.mean(axis=0)
    unit = np.sqrt(np.mean(np.sum((flat - centre) ** 2, axis=1)))
    axes = np.linalg.svd(flat - centre, full_matrices=False)[2][:32].T
    far = cdist((song.reshape(len(song), -1) - centre) @ axes, (flat - centre) @ axes) / unit
    monkeypatch.setattr(module, "_VALUES_AT_ONCE", 3 * len(flat))
    answer = found.nearest(plain, song, k=3)
    assert len(answer.segments) == len(song)
    for row, matches in zip(far, answer.segments, strict=True):
        assert [m.distance for m in matches] == pytest.approx(np.sort(row)[:3], abs=3e-3)
        best = split.train[row.argmin()]
        assert matches[0].track == dataset.tracks[best]
        assert matches[0].place == dataset.segments[best]
        assert matches[0].start == dataset.segments[best] * 1.0
        assert matches[0].genre == "abc"[dataset.labels[best]]
    names = dataset.tracks[split.train]
    of_track = {n: far[:, names == n].min(axis=1).mean() for n in set(names.tolist())}
    ranked = sorted(of_track, key=of_track.get)[:3]
    assert [m.track for m in answer.tracks] == ranked
    assert [m.distance for m in answer.tracks] == pytest.approx(
        [of_track[n] for n in ranked], abs=3e-3
    )
    assert answer.near_copies == 0
    assert answer.note.startswith("No segment is a near copy of anything")
    # The share of pairs from different tracks that lie further apart.
    vectors, of = found.vectors.astype(np.float64), found.track_of
    pairs = cdist(vectors, vectors)[of[:, np.newaxis] != of]
    for match in (*answer.tracks, *answer.segments[0]):
        assert match.percentile == pytest.approx((pairs > match.distance).mean() * 100, abs=1)
    assert found.percentile(0) == 100
    assert found.percentile(1e9) == 0


def test_a_song_that_was_trained_on_is_exposed(plain, fitted, dataset):
    song = dataset.features[dataset.tracks == "b/b.001"]
    answer = fitted.nearest(plain, song, k=50)
    assert answer.near_copies == 3
    assert answer.tracks[0].track == "b/b.001"
    assert answer.tracks[0].near_copies == 3
    assert answer.tracks[0].percentile > 99.9
    assert [m[0].place for m in answer.segments] == [0, 1, 2]
    assert all(m[0].near_copy and not m[1].near_copy for m in answer.segments)
    assert "3 of 3 segments sound to the network all but exactly like" in answer.note
    assert 'most of them of the track "b/b.001": very likely it has met this' in answer.note
    assert "memory, not hearing" in answer.note
    assert len(answer.tracks) == 9
    assert len(answer.segments[0]) == 27


def test_one_copied_segment_among_others(plain, fitted, dataset):
    rng = np.random.default_rng(5)
    song = rng.normal(size=(4, *dataset.params.shape)).astype(np.float32) * 3
    song[2] = dataset.features[7] + rng.normal(size=dataset.params.shape) * 0.01
    answer = fitted.nearest(plain, song)
    assert answer.near_copies == 1
    assert [m[0].near_copy for m in answer.segments] == [False, False, True, False]
    assert answer.note.startswith("1 of 4 segments")
    assert answer.note.endswith("that part it may remember rather than judge.")


def test_nothing_to_compare(plain, fitted, dataset):
    answer = fitted.nearest(plain, dataset.features[:0])
    assert (answer.segments, answer.tracks, answer.near_copies) == ((), (), 0)
    with pytest.raises(SettingsError, match="k is 0"):
        fitted.nearest(plain, dataset.features, k=0)
    with pytest.raises(ModelError, match="are not numbers|beyond all numbers"):
        fitted.nearest(plain, np.full_like(dataset.features[:1], np.nan))


def test_another_model_is_refused(plain, fitted, dataset):
    other = replace(plain, mean=plain.mean + 1)
    assert weights_hash(other) != weights_hash(plain)
    with pytest.raises(ModelError, match="belong to other weights"):
        fitted.nearest(other, dataset.features)


# -- files ------------------------------------------------------------------------------------


def test_a_round_trip_beside_the_bundle(demo_model, demo, tmp_path):
    split = by_track(demo, seed=3)
    found = Neighbours.fit(demo_model, demo, split.train)
    demo_model.save(tmp_path)
    found.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json",
        NEIGHBOURS_FILE,
        "weights.safetensors",
    ]
    model = GenreModel.load(tmp_path)
    back = Neighbours.load(tmp_path, model)
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(back, name), value)
    song = demo.features[split.valid[:3]]
    assert_alike(back.nearest(model, song), found.nearest(demo_model, song), rel=1e-3, near=1e-3)


def test_names_of_any_kind_travel(plain, dataset, tmp_path):
    tracks = np.array([f'{t} "Ünï\\<b>' for t in dataset.tracks])
    Neighbours.fit(plain, replace(dataset, tracks=tracks), np.arange(27)).save(tmp_path)
    assert Neighbours.load(tmp_path, plain).tracks[0] == 'a/a.000 "Ünï\\<b>'


def test_4500_segments_stay_below_600_kilobytes(fitted, tmp_path):
    n, tracks = 4500, 450
    big = replace(
        fitted,
        vectors=np.zeros((n, 32), np.float16),
        axes=np.zeros((128, 32), np.float32),
        centre=np.zeros(128, np.float32),
        tracks=tuple(f"a genre/the name of a track {i:05d}" for i in range(tracks)),
        track_of=np.repeat(np.arange(tracks, dtype=np.int32), n // tracks),
        **{k: np.zeros(n, np.int32) for k in ("places", "labels")},
        starts=np.zeros(n, np.float32),
    )
    big.save(tmp_path)
    assert (tmp_path / NEIGHBOURS_FILE).stat().st_size < 450_000
    assert len(Neighbours.load(tmp_path).vectors) == n


def damaged(change):
    """A function that changes the arrays and the JSON of a file's content."""

    def apply(content):
        arrays = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"]["genrekit"])
        change(arrays, about)
        return save(arrays, {"genrekit": json.dumps(about)})

    return apply


def setting(name, at, value):
    def change(arrays, _):
        arrays[name] = arrays[name].copy()
        arrays[name][at] = value

    return damaged(change)


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1],
        lambda content: b"PK" + content,
        lambda content: save({"weights": np.zeros(3, np.float32)}),
        lambda content: save({"weights": np.zeros(3, np.float32)}, {"genrekit": "[]"}),
        setting("vectors", (3, 2), np.nan),
        setting("axes", (0, 0), np.inf),
        setting("track_of", -1, 99),
        setting("track_of", 0, 1),
        setting("labels", 4, 3),
        setting("labels", 4, -1),
        setting("quantiles", 5, 100),
        damaged(lambda arrays, _: arrays.pop("starts")),
        damaged(lambda arrays, _: arrays.update(more=np.zeros(2))),
        damaged(lambda arrays, _: arrays.update(centre=arrays["centre"][1:].copy())),
        damaged(lambda arrays, _: arrays.update(vectors=arrays["vectors"].astype(np.float32))),
        damaged(lambda arrays, _: arrays.update(vectors=arrays["vectors"][0].copy())),
        damaged(lambda arrays, _: arrays.update(places=arrays["places"][1:].copy())),
        damaged(lambda _, about: about.pop("tracks")),
        damaged(lambda _, about: about.update(copy_distance=float("nan"))),
        damaged(lambda _, about: about.update(copy_distance="near")),
        damaged(lambda _, about: about.update(tracks=None)),
    ],
)
def test_a_damaged_or_foreign_file(fitted, tmp_path, harm):
    fitted.save(tmp_path)
    path = tmp_path / NEIGHBOURS_FILE
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ModelError, match=r"is damaged or was not made by GenreKit: train the"):
        Neighbours.load(tmp_path)


def test_another_format_another_model_and_no_file(plain, fitted, tmp_path):
    with pytest.raises(ModelError, match="cannot be read: there is no such file"):
        Neighbours.load(tmp_path)
    fitted.save(tmp_path)
    with pytest.raises(ModelError, match="belong to other weights"):
        Neighbours.load(tmp_path, replace(plain, std=plain.std * 2))
    path = tmp_path / NEIGHBOURS_FILE
    path.write_bytes(damaged(lambda _, about: about.update(format=2))(path.read_bytes()))
    with pytest.raises(ModelError, match="of format 2, this GenreKit reads 1"):
        Neighbours.load(tmp_path)


def test_a_file_that_cannot_be_written(fitted, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot be written"):
        fitted.save(tmp_path / "file")
    fitted.save(tmp_path / "new" / "folder")
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == [NEIGHBOURS_FILE]
