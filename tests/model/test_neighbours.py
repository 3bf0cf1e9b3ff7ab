"""Neighbours: found by brute force, recognised when trained on, and refused when damaged."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from scipy.spatial.distance import cdist

from genrekit.dataset.dataset import Dataset, TrackRecord
from genrekit.dataset.splits import by_track
from genrekit.errors import DatasetError, ModelError, SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.model import familiarity
from genrekit.model.bundle import GenreModel, load_model
from genrekit.model.familiarity import UNLIKE
from genrekit.model.neighbours_file import NEIGHBOURS_FILE, load_neighbours, save_neighbours
from genrekit.model.neighbours_fit import fit_neighbours


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
    return fit_neighbours(plain, dataset, np.arange(len(dataset)))


@pytest.fixture(scope="module")
def knowing(plain, fitted):
    return replace(plain, neighbours=fitted)


# -- embeddings -------------------------------------------------------------------------------


def test_an_embedding_is_the_input_of_the_last_layer(demo_model, demo, monkeypatch):
    network = demo_model.network
    x = torch.from_numpy((demo.features - demo_model.mean) / demo_model.std)
    with torch.inference_mode():
        expected = torch.nn.Sequential(*list(network)[:-1])(x).numpy()
    np.testing.assert_allclose(demo_model.embeddings(demo.features), expected, atol=1e-5)
    monkeypatch.setattr("genrekit.model.bundle.rows_at_once", lambda _: 5)
    np.testing.assert_allclose(demo_model.embeddings(demo.features), expected, atol=1e-5)
    assert demo_model.embeddings(demo.features[:0]).shape == (0, 64)


def test_no_hook_stays_behind_and_visitors_do_not_interfere(demo_model, demo, monkeypatch):
    hooked = []
    register = torch.nn.Module.register_forward_pre_hook

    def noted(layer, *arguments, **options):
        hooked.append(register(layer, *arguments, **options))
        return hooked[-1]

    monkeypatch.setattr(torch.nn.Module, "register_forward_pre_hook", noted)
    parts = [demo.features[i : i + 4] for i in range(0, 36, 4)]
    alone = [demo_model.embeddings(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: demo_model.embeddings(part), parts * 5))
    for i, found in enumerate(together):
        np.testing.assert_allclose(found, alone[i % len(parts)], atol=1e-5)
    assert hooked
    assert not any(handle.id in handle.hooks_dict_ref() for handle in hooked)


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
    np.testing.assert_allclose(model_of(net, small).embeddings(x), expected, atol=1e-5)


def test_a_network_without_a_linear_layer(small):
    class Net(torch.nn.Conv1d):
        def forward(self, x):
            return super().forward(x.transpose(1, 2)).mean(dim=2)

    with pytest.raises(ModelError, match="no linear layer"):
        model_of(Net(small.n_mfcc, 3, 1), small).embeddings(np.zeros((1, *small.shape), "f4"))


# -- fitting ----------------------------------------------------------------------------------


def test_distances_are_those_between_the_segments(fitted, dataset):
    """27 segments span 26 dimensions, so that 32 components lose nothing."""
    assert fitted.embedding_space.vectors.shape == (27, 26)
    assert fitted.embedding_space.vectors.dtype == np.float16
    flat = dataset.features.reshape(27, -1).astype(np.float64)
    unit = np.sqrt(np.mean(np.sum((flat - flat.mean(axis=0)) ** 2, axis=1)))
    mine = fitted.embedding_space.vectors.astype(np.float64)
    np.testing.assert_allclose(cdist(mine, mine), cdist(flat, flat) / unit, atol=3e-3)


def test_at_most_32_components_and_they_are_the_strongest(plain, make_dataset):
    dataset = make_dataset(tracks=6, segments=4)
    found = fit_neighbours(plain, dataset, np.arange(len(dataset)))
    assert found.embedding_space.vectors.shape == (72, 32)
    flat = dataset.features.reshape(72, -1).astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(flat.T, bias=True))[::-1][:32]
    spread = found.embedding_space.vectors.astype(np.float64).var(axis=0)
    np.testing.assert_allclose(spread, values / np.trace(np.cov(flat.T, bias=True)), rtol=0.02)


def test_each_training_segment_is_kept(plain, make_dataset):
    dataset = make_dataset()
    rows = np.random.default_rng(0).permutation(len(dataset))[:50]
    found = fit_neighbours(plain, dataset, rows)
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


def test_of_many_segments_some_of_each_track_are_kept(plain, make_dataset, monkeypatch, tmp_path):
    dataset = make_dataset(segments=5)
    rows = np.arange(len(dataset))
    whole = fit_neighbours(plain, dataset, rows)
    monkeypatch.setattr("genrekit.model.neighbours_fit.SEGMENTS_KEPT", len(dataset) // 2)
    found = fit_neighbours(plain, dataset, rows)
    np.testing.assert_array_equal(found.places, np.tile([0, 2, 4], len(whole.tracks)))
    assert found.tracks == whole.tracks
    np.testing.assert_array_equal(found.fingerprints.rows, whole.fingerprints.rows)
    save_neighbours(found, tmp_path)
    load_neighbours(tmp_path)  # which checks it


def test_missing_segment_numbers_are_counted(plain, dataset):
    bare = replace(dataset, segments=None)
    order = np.random.default_rng(1).permutation(len(dataset))
    found = fit_neighbours(plain, bare, order)
    np.testing.assert_array_equal(found.places, np.tile([0, 1, 2], 9))


def test_datasets_that_cannot_be_fitted(plain, dataset, small):
    with pytest.raises(DatasetError, match="does not know its tracks"):
        fit_neighbours(plain, replace(dataset, tracks=None), np.arange(9))
    with pytest.raises(DatasetError, match="1 training track cannot be compared"):
        fit_neighbours(plain, dataset, np.arange(3))
    with pytest.raises(DatasetError, match="0 training tracks"):
        fit_neighbours(plain, dataset, np.arange(0))
    with pytest.raises(ModelError, match="other parameters"):
        fit_neighbours(replace(plain, params=replace(small, n_fft=1024)), dataset, np.arange(9))
    same = replace(dataset, features=np.ones_like(dataset.features))
    with pytest.raises(ModelError, match="are the same"):
        fit_neighbours(plain, same, np.arange(9))


# -- asking -----------------------------------------------------------------------------------


def test_the_nearest_by_brute_force(plain, make_dataset, monkeypatch):
    dataset = make_dataset()
    split = by_track(dataset, seed=0)
    found = fit_neighbours(plain, dataset, split.train)
    song = dataset.features[dataset.tracks == dataset.tracks[split.valid[0]]]
    flat = dataset.features[split.train].reshape(len(split.train), -1).astype(np.float64)
    centre = flat.mean(axis=0)
    unit = np.sqrt(np.mean(np.sum((flat - centre) ** 2, axis=1)))
    axes = np.linalg.svd(flat - centre, full_matrices=False)[2][:32].T
    far = cdist((song.reshape(len(song), -1) - centre) @ axes, (flat - centre) @ axes) / unit
    monkeypatch.setattr(familiarity, "_VALUES_AT_ONCE", 3 * len(flat))
    answer = replace(plain, neighbours=found).nearest(song, k=3)
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
    assert answer.trained_on is None
    assert answer.note.startswith("At least 8 s are needed to tell whether")
    # The share of pairs from different tracks that lie further apart.
    vectors, of = found.embedding_space.vectors.astype(np.float64), found.track_of
    pairs = cdist(vectors, vectors)[of[:, np.newaxis] != of]
    for match in (*answer.tracks, *answer.segments[0]):
        assert match.percentile == pytest.approx((pairs > match.distance).mean() * 100, abs=1)
    assert found.percentile(0) == 100
    assert found.percentile(1e9) == 0


def test_the_nearest_of_a_song_that_was_trained_on(knowing, dataset):
    answer = knowing.nearest(dataset.features[dataset.tracks == "b/b.001"], k=50)
    assert answer.tracks[0].track == "b/b.001"
    assert answer.tracks[0].percentile > 99.9
    assert [m[0].place for m in answer.segments] == [0, 1, 2]
    assert len(answer.tracks) == 9
    assert len(answer.segments[0]) == 27


def test_nothing_to_compare(plain, knowing, dataset):
    answer = knowing.nearest(dataset.features[:0])
    assert (answer.segments, answer.tracks, answer.trained_on) == ((), (), None)
    with pytest.raises(SettingsError, match="k is 0: use"):
        knowing.nearest(dataset.features, k=0)
    with pytest.raises(ModelError, match="not finite"):
        knowing.nearest(np.full_like(dataset.features[:1], np.nan))
    assert plain.nearest(dataset.features) is None


# -- what it means ----------------------------------------------------------------------------


LONG = FeatureParams(sample_rate=8000, segment_seconds=2.0, n_fft=512, hop_length=256)


def wandering(rng, segments, params=LONG):
    """Features of `segments` segments whose timbre changes like music's."""
    frames = segments * params.frames
    moves = rng.normal(size=(frames // 20 + 2, params.n_mfcc)) * 20
    values = np.stack(
        [np.interp(np.arange(frames) / 20, np.arange(len(moves)), column) for column in moves.T], 1
    )
    noise = rng.normal(size=values.shape)
    return (values + noise).reshape(segments, *params.shape).astype(np.float32)


@pytest.fixture(scope="module")
def pieces():
    """24 tracks by twelve artists, with the files of the first three known."""
    rng = np.random.default_rng(0)
    names = [f"track {i:02d}" for i in range(24)]
    files = [TrackRecord(n, n, "a", None, f"{i:064d}", 6) for i, n in enumerate(names[:3])]
    return Dataset(
        np.concatenate([wandering(rng, 6) for _ in names]),
        np.repeat(np.arange(24) % 3, 6),
        ("a", "b", "c"),
        LONG,
        np.repeat(names, 6),
        np.tile(np.arange(6), 24),
        np.repeat([f"artist {i % 12}" for i in range(24)], 6),
        records=tuple(files),
    )


@pytest.fixture(scope="module")
def listener(pieces):
    torch.manual_seed(0)
    layer = torch.nn.Linear(LONG.frames * LONG.n_mfcc, 3)
    model = model_of(torch.nn.Sequential(torch.nn.Flatten(), layer), LONG)
    return replace(model, neighbours=fit_neighbours(model, pieces, np.arange(len(pieces))))


def test_a_recording_that_was_trained_on_is_named(listener, pieces):
    own = pieces.features[pieces.tracks == "track 05"]
    answer = listener.nearest(own)
    assert answer.trained_on == "track 05"
    assert answer.note == (
        'The model was trained on this very recording, "track 05": the verdict shows memory, '
        "not hearing."
    )
    louder = own.copy()
    louder[..., 0] += 60  # another level, through a filter, with noise
    louder[..., 1:] += np.linspace(-5, 5, LONG.n_mfcc - 1)
    louder += np.random.default_rng(1).normal(size=own.shape)
    assert listener.nearest(louder.astype(np.float32)).trained_on == "track 05"
    rng = np.random.default_rng(2)
    around = np.concatenate([wandering(rng, 7), own, wandering(rng, 5)])
    answer = listener.nearest(around)
    assert answer.trained_on == "track 05"
    assert "seconds of it, from 14 s on, are in a recording" in answer.note
    assert "may remember rather than judge" in answer.note
    answer = listener.nearest(wandering(rng, 6))
    assert answer.trained_on is None
    assert answer.note == "It matches none of the 24 recordings the model was trained on."


def test_features_that_are_too_coarse_to_compare_say_so(small, make_dataset):
    params = replace(LONG, n_mfcc=4)
    rng = np.random.default_rng(0)
    data = Dataset(
        np.concatenate([wandering(rng, 3, params) for _ in range(4)]),
        np.repeat([0, 1, 0, 1], 3),
        ("a", "b"),
        params,
        np.repeat(list("wxyz"), 3),
    )
    layer = torch.nn.Linear(params.frames * params.n_mfcc, 2)
    model = model_of(torch.nn.Sequential(torch.nn.Flatten(), layer), params, ("a", "b"))
    known = fit_neighbours(model, data, np.arange(12))
    answer = replace(model, neighbours=known).nearest(data.features[:3])
    assert answer.trained_on is None
    assert "too coarse to tell" in answer.note


def test_novelty_is_the_share_of_similar_songs_that_are_nearer(listener, pieces):
    known = listener.neighbours
    assert len(known.embedding_space.reference) == len(known.timbre_space.reference) == 24
    rng = np.random.default_rng(3)
    trained = pieces.features.reshape(len(pieces), -1).astype(np.float64)
    centre = trained.mean(axis=0)
    axes = np.linalg.svd(trained - centre, full_matrices=False)[2][:32].T
    unit = np.sqrt(np.mean(np.sum((trained - centre) ** 2, axis=1)))

    def distance(song, rows):
        flat = (song.reshape(len(song), -1) - centre) @ axes / unit
        return cdist(flat, (trained[rows] - centre) @ axes / unit).min(axis=1).mean()

    others = [
        distance(pieces.features[6 * i : 6 * i + 6], pieces.artists != f"artist {i % 12}")
        for i in range(24)
    ]
    np.testing.assert_allclose(known.embedding_space.reference, np.sort(others), rtol=0.01)
    for _ in range(5):
        song = wandering(rng, 6)
        expected = np.mean(np.array(others) < distance(song, slice(None)))
        assert known.embedding_space.rank(listener.embeddings(song)) == pytest.approx(
            expected, abs=0.09
        )
        assert known.novelty(listener.embeddings(song), song, LONG) >= expected - 0.09
    own = pieces.features[:6]
    assert known.novelty(listener.embeddings(own), own, LONG) == 0
    hiss = rng.normal(size=own.shape).astype(np.float32) * 40
    assert known.novelty(listener.embeddings(hiss), hiss, LONG) > UNLIKE


def test_an_artist_is_not_compared_with_their_own_tracks(pieces, listener):
    alike = pieces.features.copy()
    for i in range(12, 24):  # each artist's second track is the first one again
        alike[6 * i : 6 * i + 6] = alike[6 * (i - 12) : 6 * (i - 12) + 6]
    twice = replace(pieces, features=alike)
    rows = np.arange(len(twice))
    bare = replace(listener, neighbours=None)
    by_artist = fit_neighbours(bare, twice, rows).embedding_space.reference
    by_track = fit_neighbours(bare, replace(twice, artists=None), rows).embedding_space.reference
    assert by_track.max() < 1e-2 < by_artist.min()


def test_held_out_tracks_give_the_usual_distances(pieces, listener):
    bare = replace(listener, neighbours=None)
    rows = np.arange(len(pieces))
    train, rest = rows[: 4 * 6], rows[4 * 6 :]
    known = fit_neighbours(bare, pieces, train, rest)
    assert len(known.embedding_space.reference) == 20
    ranks = [
        known.novelty(bare.embeddings(pieces.features[i : i + 6]), pieces.features[i : i + 6], LONG)
        for i in rest[::6]
    ]
    np.testing.assert_allclose(sorted(ranks), np.arange(20) / 20, atol=0.051)
    few = fit_neighbours(bare, pieces, train, rest[: 3 * 6])
    assert len(few.embedding_space.reference) == 4
    song = pieces.features[rest[:6]]
    assert few.novelty(bare.embeddings(song), song, LONG) is None
    shared = fit_neighbours(bare, pieces, rows, rows)
    np.testing.assert_array_equal(
        shared.embedding_space.reference, listener.neighbours.embedding_space.reference
    )


# -- files ------------------------------------------------------------------------------------


def test_a_round_trip_in_the_bundle(demo_model, demo, tmp_path):
    split = by_track(demo, seed=3)
    known = fit_neighbours(demo_model, demo, split.train, split.valid)
    replace(demo_model, neighbours=known).save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json",
        NEIGHBOURS_FILE,
        "weights.safetensors",
    ]
    back = load_model(tmp_path).neighbours
    for part in ("embedding_space", "timbre_space", "fingerprints"):
        for name, before in vars(getattr(known, part)).items():
            after = getattr(getattr(back, part), name)
            np.testing.assert_array_equal(before, after, err_msg=f"{part}.{name}")
            assert before.dtype == after.dtype
    for name in ("track_of", "places", "starts", "labels", "quantiles"):
        before, after = getattr(known, name), getattr(back, name)
        np.testing.assert_array_equal(before, after, err_msg=name)
        assert before.dtype == after.dtype
    for name in ("tracks", "files", "genres", "band", "weights_sha256"):
        assert getattr(back, name) == getattr(known, name), name
    replace(demo_model, neighbours=None).save(
        tmp_path
    )  # one without neighbours leaves none of another's behind
    assert load_model(tmp_path).neighbours is None


def test_neighbours_of_other_weights_are_refused_with_the_model(plain, fitted, tmp_path):
    other = replace(plain, mean=plain.mean + 1)
    assert other.weights_sha256 != plain.weights_sha256 == fitted.weights_sha256
    save_neighbours(fitted, tmp_path)
    with pytest.raises(ModelError, match="belong to other weights"):
        load_neighbours(tmp_path, other.weights_sha256)


def test_names_of_any_kind_are_saved(plain, dataset, tmp_path):
    tracks = np.array([f'{t} "Ünï\\<b>' for t in dataset.tracks])
    known = fit_neighbours(plain, replace(dataset, tracks=tracks), np.arange(27))
    save_neighbours(known, tmp_path)
    assert load_neighbours(tmp_path, plain.weights_sha256).tracks[0] == 'a/a.000 "Ünï\\<b>'


def damaged(change):
    """Return a function that changes the arrays and the JSON in a file's content."""

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
        setting("heard.vectors", (3, 2), np.nan),
        setting("heard.axes", (0, 0), np.inf),
        setting("sound.axes", (0, 0), np.nan),
        setting("heard.reference", 0, np.inf),
        setting("heard.reference", -1, -1),
        setting("prints.spread", 0, 0),
        setting("prints.lengths", 0, 10_000),
        setting("track_of", -1, 99),
        setting("track_of", 0, 1),
        setting("labels", 4, 3),
        setting("labels", 4, -1),
        setting("quantiles", 5, 100),
        damaged(lambda arrays, _: arrays.pop("starts")),
        damaged(lambda arrays, _: arrays.update(more=np.zeros(2))),
        damaged(
            lambda arrays, _: arrays.update(**{"heard.centre": arrays["heard.centre"][1:].copy()})
        ),
        damaged(lambda arrays, _: arrays.update({"sound.vectors": np.zeros((27, 38))})),
        damaged(
            lambda arrays, _: arrays.update({"heard.vectors": arrays["heard.vectors"][0].copy()})
        ),
        damaged(lambda arrays, _: arrays.update(places=arrays["places"][1:].copy())),
        damaged(lambda _, about: about.pop("tracks")),
        damaged(lambda _, about: about.update(band=[0.5, 0.5])),
        damaged(lambda _, about: about.update(band="all")),
        damaged(lambda _, about: about.pop("files")),
        damaged(lambda _, about: about.update(tracks=None)),
    ],
)
def test_a_damaged_or_foreign_file(fitted, tmp_path, harm):
    save_neighbours(fitted, tmp_path)
    path = tmp_path / NEIGHBOURS_FILE
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ModelError, match=r"is damaged or was not made by GenreKit: train the"):
        load_neighbours(tmp_path)


def test_another_format_another_model_and_no_file(plain, fitted, tmp_path):
    with pytest.raises(ModelError, match="cannot be read: there is no such file"):
        load_neighbours(tmp_path)
    save_neighbours(fitted, tmp_path)
    with pytest.raises(ModelError, match="belong to other weights"):
        load_neighbours(tmp_path, replace(plain, std=plain.std * 2).weights_sha256)
    path = tmp_path / NEIGHBOURS_FILE
    path.write_bytes(damaged(lambda _, about: about.update(format=1))(path.read_bytes()))
    with pytest.raises(ModelError, match="of format 1, this GenreKit reads 2"):
        load_neighbours(tmp_path)


def test_a_file_that_cannot_be_written(fitted, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot be written"):
        save_neighbours(fitted, tmp_path / "file")
    save_neighbours(fitted, tmp_path / "new" / "folder")
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == [NEIGHBOURS_FILE]
