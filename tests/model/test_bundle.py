"""Models: bundles, which load whole or are refused, and verdicts."""

import copy
import dataclasses
import hashlib
import io
import json
import math
import struct

import numpy as np
import pytest
import soundfile
import torch
from alike import assert_alike
from coded_sounds import EVERY, encoded, music
from safetensors.torch import load, save

from genrekit.audio.decoder import load_audio
from genrekit.errors import AudioError, ModelError
from genrekit.features.extraction import extract, mfcc, split_segments
from genrekit.model import bundle as module
from genrekit.model.backbone import EVERYDAY_PARAMS
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, GenreModel, load_model
from genrekit.model.metrics import softmax
from genrekit.model.neighbours import Neighbours
from genrekit.model.networks import build_network
from genrekit.model.tags import TAGS, TagReference
from genrekit.model.verdicts import NOTICEABLE

GENRES = ("blues", "jazz", "rock")


@pytest.fixture
def untrained(small):
    """A model with fresh weights, for verdicts that mean nothing."""
    return GenreModel(
        build_network("mlp", small.shape, 3, seed=0),
        "mlp",
        small,
        GENRES,
        np.full(7, 0.5, np.float32),
        np.full(7, 20, np.float32),
        temperature=2.0,
        card={"split": {"kind": "track"}, "history": [{"valid_loss": float("nan")}]},
    )


@pytest.fixture
def song():
    return music(8000, 3.4).mean(axis=1)


# -- judging ----------------------------------------------------------------------------------


def test_probabilities_by_the_formula(untrained, demo):
    logits = untrained.logits(demo.features)
    x = torch.from_numpy((demo.features - 0.5) / np.float32(20))
    expected = untrained.network(x).detach().numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    probabilities = untrained.probabilities(demo.features)
    np.testing.assert_allclose(probabilities, softmax(expected, 2), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert untrained.logits(demo.features[:0]).shape == (0, 3)


def test_many_rows_at_once_or_few(untrained, demo, monkeypatch):
    whole = untrained.logits(demo.features)
    monkeypatch.setattr(module, "rows_at_once", lambda _: 5)
    np.testing.assert_allclose(untrained.logits(demo.features), whole, atol=1e-5)


def test_features_of_another_shape(untrained):
    with pytest.raises(ModelError, match=r"takes segments of shape \(32, 7\), these have \(130,"):
        untrained.logits(np.zeros((2, 130, 13), np.float32))


def test_a_verdict_is_the_mean_of_its_segments(untrained, song, small):
    verdict = untrained.classify(song, sample_rate=8000)
    rows = untrained.probabilities(mfcc(split_segments(song, small), small))
    assert len(verdict.segments) == len(rows) == 3
    assert list(verdict.probabilities) == list(GENRES)
    np.testing.assert_allclose(list(verdict.probabilities.values()), rows.mean(axis=0), atol=1e-6)
    assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-5)
    best = max(verdict.probabilities, key=verdict.probabilities.get)
    assert verdict.genre == best
    assert verdict.confidence == verdict.probabilities[best]
    assert verdict.note == ""
    for i, (segment, row) in enumerate(zip(verdict.segments, rows, strict=True)):
        assert (segment.start, segment.end) == (i, i + 1)
        np.testing.assert_allclose(list(segment.probabilities.values()), row, atol=1e-6)
    assert all(type(p) is float for p in verdict.probabilities.values())


def test_a_last_piece_that_was_completed_ends_where_the_song_ends(untrained):
    verdict = untrained.classify(music(8000, 1.995).mean(axis=1), sample_rate=8000)
    assert [(s.start, s.end) for s in verdict.segments] == [(0, 1), (1, 1.995)]


@pytest.mark.parametrize("seconds", [0.5, 0.0])
def test_too_short(untrained, seconds):
    verdict = untrained.classify(np.ones(round(8000 * seconds), np.float32), sample_rate=8000)
    assert verdict.genre is None
    assert verdict.note == f"Only {seconds:.1f} s long: at least 1 s of music are needed."
    assert (verdict.confidence, verdict.probabilities, verdict.segments) == (0, {}, ())


@pytest.mark.parametrize("level", [0, 9e-4, -9e-4])
def test_silence(untrained, level):
    verdict = untrained.classify(np.full(16000, level, np.float32), sample_rate=8000)
    assert verdict.genre is None
    assert verdict.note.startswith("Silence: there is nothing to hear. Check the recording level")
    assert verdict.segments == ()


def test_quiet_music_is_not_silence(untrained, song):
    assert untrained.classify(song / np.abs(song).max() * 0.002, sample_rate=8000).genre in GENRES


def test_not_sure(untrained, song):
    untrained = dataclasses.replace(untrained, temperature=0.02)  # else it leans to no genre
    sure = untrained.classify(song, sample_rate=8000)
    doubting = dataclasses.replace(untrained, threshold=sure.confidence + 0.01)
    verdict = doubting.classify(song, sample_rate=8000)
    assert verdict.genre is None
    assert_alike(verdict.probabilities, sure.probabilities)
    assert verdict.note == (
        f"{sure.genre.capitalize()} is likeliest, but {sure.confidence:.0%} is below the "
        f"{doubting.threshold:.0%} from which this model names a genre."
    )
    bold = dataclasses.replace(untrained, threshold=sure.confidence - 0.01)
    assert bold.classify(song, sample_rate=8000).genre == sure.genre


def test_no_genre_stands_out(untrained, song):
    even = dataclasses.replace(untrained, temperature=1e5, threshold=0.5)
    verdict = even.classify(song, sample_rate=8000)
    assert verdict.genre is None
    assert verdict.confidence == pytest.approx(1 / 3, abs=1e-3)
    assert verdict.note == "No genre stands out."


@pytest.mark.parametrize(
    ("novelty", "sure", "note"),
    [
        (None, True, ""),
        (0.0, True, ""),
        (0.8, True, ""),
        (0.81, False, "likeliest, but the song is at the edge of what this model was trained on"),
        (0.98, False, "It sounds unlike anything this model was trained on."),
        (1.0, False, "It sounds unlike anything this model was trained on."),
    ],
)
def test_not_sure_far_from_the_training_music(demo_model, monkeypatch, song, novelty, sure, note):
    monkeypatch.setattr(Neighbours, "novelty", lambda *_: novelty)
    verdict = demo_model.classify(song, sample_rate=8000)
    assert verdict.novelty == novelty
    assert (verdict.genre is not None) == sure
    assert note in verdict.note
    assert bool(verdict.note) != sure
    assert max(verdict.probabilities.values()) == verdict.confidence


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", EVERY)
def test_every_format_gets_the_same_verdict(untrained, suffix, tmp_path):
    samples = music(48000, 3.2, 2)
    path = tmp_path / f"song{suffix}"
    path.write_bytes(encoded(samples, 48000, suffix))
    verdict = untrained.classify(path)
    expected = untrained.classify(load_audio(path, 8000), sample_rate=8000)
    assert_alike(verdict, expected)
    assert len(verdict.segments) == 3
    wav = untrained.classify(encoded(samples, 48000, ".wav"))
    assert verdict.genre == wav.genre
    for genre in GENRES:
        assert verdict.probabilities[genre] == pytest.approx(wav.probabilities[genre], abs=0.1)


def test_only_the_start_of_a_long_song_is_judged(untrained, song):
    file = io.BytesIO()
    soundfile.write(file, np.tile(song, 3), 8000, format="WAV", subtype="FLOAT")
    verdict = untrained.classify(file, max_seconds=6)
    assert len(verdict.segments) == 6
    assert verdict.note == "Only the first 6 seconds were heard."
    whole = untrained.classify(file, max_seconds=10.2)
    assert len(whole.segments) == 10
    assert whole.note == ""
    one = untrained.classify(file, max_seconds=9).with_note("Only the first minute was heard.")
    assert one.note.endswith(" Only the first minute was heard.")
    unsure = dataclasses.replace(untrained, threshold=1.0).classify(file, max_seconds=6)
    assert unsure.genre is None
    assert unsure.note.endswith(". Only the first 6 seconds were heard.")


@pytest.mark.parametrize("content", [b"", b"no music", b"RIFF" + bytes(40)])
def test_files_without_audio(untrained, content):
    with pytest.raises(AudioError):
        untrained.classify(content)


# -- bundles ----------------------------------------------------------------------------------


def test_a_loaded_model_equals_the_saved_one(demo_model, demo, tmp_path):
    folder = tmp_path / "deep" / "model"
    demo_model.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "model.json",
        "neighbours.safetensors",
        "weights.safetensors",
    ]
    loaded = load_model(folder)
    assert_alike(loaded.probabilities(demo.features), demo_model.probabilities(demo.features))
    kept = demo_model.network.state_dict()
    assert all(
        torch.equal(kept[name], value) for name, value in loaded.network.state_dict().items()
    )
    for name in ("network_name", "params", "genres", "temperature", "threshold"):
        assert getattr(loaded, name) == getattr(demo_model, name)
    assert loaded.card == json.loads(json.dumps(demo_model.card))
    np.testing.assert_array_equal(loaded.mean, demo_model.mean)
    np.testing.assert_array_equal(loaded.std, demo_model.std)
    assert not loaded.network.training


def test_saving_again_writes_the_same_bytes(demo_bundle, tmp_path):
    load_model(demo_bundle).save(tmp_path / "again")
    for name in ("model.json", "weights.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (demo_bundle / name).read_bytes()


def test_numbers_beyond_json_are_left_out(untrained, tmp_path):
    untrained.save(tmp_path)
    text = (tmp_path / "model.json").read_text()
    assert "NaN" not in text
    assert load_model(tmp_path).card["history"] == [{"valid_loss": None}]


def test_names_of_all_kinds(untrained, tmp_path):
    odd = dataclasses.replace(untrained, genres=("Drum & Bass", "東京", "it's"))
    odd.save(tmp_path / "größe 'x'")
    assert load_model(str(tmp_path / "größe 'x'")).genres == odd.genres


@pytest.fixture
def bundle(untrained, tmp_path):
    folder = tmp_path / "bundle"
    untrained.save(folder)
    return folder


def edit(bundle, about=None, tensors=None, weights=None):
    """Change a bundle, and correct its hash."""
    card = json.loads((bundle / "model.json").read_text())
    content = (bundle / "weights.safetensors").read_bytes()
    if tensors is not None:
        content = save({k: v.contiguous() for k, v in tensors(load(content)).items()})
    if weights is not None:
        content = weights
    (bundle / "weights.safetensors").write_bytes(content)
    card["weights_sha256"] = hashlib.sha256(content).hexdigest()
    card = about(card) if about else card
    (bundle / "model.json").write_text(card if isinstance(card, str) else json.dumps(card))


def test_an_edited_card_loads(bundle):
    edit(bundle)
    assert load_model(bundle).genres == GENRES


def params_of(card, **values):
    return card | {"params": card["params"] | values}


@pytest.mark.parametrize(
    ("about", "match"),
    [
        (lambda c: c | {"format": 2}, "of format 2, this GenreKit reads 1: update GenreKit"),
        (lambda c: c | {"format": None}, "of format None"),
        (lambda c: c | {"weights_sha256": "0" * 64}, "weights do not belong to its card: copy"),
        (lambda c: "", "is damaged or was not made by GenreKit: train it again"),
        (lambda c: "{", "damaged"),
        (lambda c: "[" * 100_000, "damaged"),
        (lambda c: "null", "damaged"),
        (lambda c: "[]", "damaged"),
        (lambda c: "3", "damaged"),
        (lambda c: "{}", "damaged"),
        (lambda c: c | {"network": "resnet"}, "damaged"),
        (lambda c: c | {"network": ["mlp"]}, "damaged"),
        (lambda c: c | {"genres": ["a", "b"]}, "damaged"),
        (lambda c: c | {"genres": ["a", "b", "a"]}, "damaged"),
        (lambda c: c | {"genres": 3}, "damaged"),
        (lambda c: c | {"genres": []}, "damaged"),
        (lambda c: c | {"params": None}, "damaged"),
        (lambda c: params_of(c, n_mfcc=8), "damaged"),
        (lambda c: params_of(c, n_fft="512"), "damaged"),
        (lambda c: params_of(c, extra=1), "damaged"),
        # 23 million inputs would need 47 GB for the first layer alone.
        (lambda c: params_of(c, segment_seconds=60, hop_length=1, n_mfcc=24), "damaged"),
        (lambda c: params_of(c, segment_seconds=1e9), "damaged"),
        (lambda c: c | {"genres": [str(i) for i in range(1_000_000)]}, "damaged"),
        (lambda c: c | {"temperature": 0}, "damaged"),
        (lambda c: c | {"temperature": float("nan")}, "damaged"),
        (lambda c: c | {"temperature": "warm"}, "damaged"),
        (lambda c: c | {"threshold": 1.5}, "damaged"),
        (lambda c: c | {"threshold": -0.1}, "damaged"),
        (lambda c: c | {"threshold": None}, "damaged"),
        (lambda c: c | {"card": 3}, "damaged"),
        (lambda c: c | {"card": "text"}, "damaged"),
    ],
)
def test_damaged_cards(bundle, about, match):
    edit(bundle, about)
    with pytest.raises(ModelError, match=match):
        load_model(bundle)


@pytest.mark.parametrize(
    "key", "format network genres params temperature threshold weights_sha256 card".split()
)
def test_incomplete_cards(bundle, key):
    edit(bundle, lambda c: {k: v for k, v in c.items() if k != key})
    with pytest.raises(ModelError, match="damaged or was not made by GenreKit"):
        load_model(bundle)


def without(key):
    return lambda tensors: {k: v for k, v in tensors.items() if k != key}


def with_(key, change):
    return lambda tensors: tensors | {key: change(tensors[key])}


@pytest.mark.parametrize(
    "tensors",
    [
        without("mean"),
        without("std"),
        without("network.1.weight"),
        lambda t: t | {"network.9.weight": t["mean"].clone()},
        with_("network.1.weight", lambda w: w.T),
        with_("network.1.weight", lambda w: w.double()),
        with_("network.1.weight", lambda w: w.half()),
        with_("network.7.bias", lambda b: b + math.nan),
        with_("network.7.bias", lambda b: b - math.inf),
        with_("mean", lambda m: m[:-1]),
        with_("mean", lambda m: m.double()),
        with_("mean", lambda m: m * math.nan),
        with_("std", lambda s: s * 0),
        with_("std", lambda s: -s),
        with_("std", lambda s: s * math.nan),
        with_("std", lambda s: s.double()),
        with_("std", lambda s: s[:, None]),
    ],
)
def test_damaged_weights_with_the_right_hash(bundle, tensors):
    edit(bundle, tensors=tensors)
    with pytest.raises(ModelError, match="damaged or was not made by GenreKit: train it again"):
        load_model(bundle)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


def pickled():
    import pickle

    file = io.BytesIO()
    torch.save({"network.1.weight": torch.zeros(2)}, file)
    return [pickle.dumps(Evil()), file.getvalue()]


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"no weights",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        *pickled(),
    ],
)
def test_weights_that_are_not_safetensors(bundle, weights):
    edit(bundle, weights=weights)
    with pytest.raises(ModelError, match="damaged or was not made by GenreKit"):
        load_model(bundle)


@pytest.mark.parametrize("kept", [0, 10, 0.5, -1])
def test_truncated_weights(bundle, kept):
    path = bundle / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if kept == 0.5 else kept])
    with pytest.raises(ModelError, match="weights do not belong to its card: copy both files"):
        load_model(bundle)


def test_nothing_is_ever_unpickled(bundle, monkeypatch):
    import pickle

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("unpickled"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    assert load_model(bundle).genres == GENRES


def test_folders_without_a_model(bundle, tmp_path, untrained, monkeypatch):
    for place in ("nowhere", tmp_path, bundle / "model.json", tmp_path / "no", ""):
        with pytest.raises(ModelError, match=r"There is no model .*genrekit train"):
            load_model(place)
    (bundle / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read: there is no such file"):
        load_model(bundle)
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "x"):
        with pytest.raises(ModelError, match="cannot be written"):
            untrained.save(place)


def test_a_full_disk_leaves_the_old_model(bundle, untrained, monkeypatch):
    from pathlib import Path

    before = {p.name: p.read_bytes() for p in bundle.iterdir()}

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ModelError, match="the disk is full; free some space"):
        dataclasses.replace(untrained, temperature=3.0).save(bundle)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in bundle.iterdir()} == before


# -- models with tags -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagged():
    """A model of fresh weights that knows tags; its reference songs are noise around them."""
    params = EVERYDAY_PARAMS
    network = build_network("everyday", params.shape, 3, seed=0)
    model = GenreModel(
        network,
        "everyday",
        params,
        GENRES,
        np.zeros(params.coefficients, np.float32),
        np.ones(params.coefficients, np.float32),
    )
    features = extract(split_segments(music(16000, 6.4).mean(axis=1), params), params)
    log_odds = model.tag_log_odds(model.embeddings(features))
    rng = np.random.default_rng(0)
    songs = [(log_odds + rng.normal(size=log_odds.shape)).astype(np.float32) for _ in range(50)]
    return dataclasses.replace(model, tags=TagReference.of(songs))


@pytest.fixture
def tagged_bundle(tagged, tmp_path):
    tagged.save(tmp_path / "tagged")
    return tmp_path / "tagged"


def test_a_verdict_has_the_tags_of_the_song_and_of_its_segments(tagged):
    samples = music(16000, 6.4).mean(axis=1)
    verdict = tagged.classify(samples, sample_rate=16000)
    features = extract(split_segments(samples, tagged.params), tagged.params)
    log_odds = tagged.tag_log_odds(tagged.embeddings(features))
    assert log_odds.shape == (2, len(TAGS))
    heard = tagged.tags.of_song(log_odds)
    assert {one.tag: one.stronger_than for one in verdict.sounds_like} == pytest.approx(
        {one.tag: one.stronger_than for one in heard}, abs=0.002
    )
    for segment, shares in zip(verdict.segments, tagged.tags.of_segments(log_odds), strict=True):
        assert segment.sounds_like == pytest.approx(shares, abs=0.002)


def test_the_log_odds_are_the_backbone_s(tagged, demo_model):
    embeddings = np.random.default_rng(1).normal(size=(3, 200)).astype(np.float32)
    layer = tagged.network.backbone.tags
    expected = embeddings @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(tagged.tag_log_odds(embeddings), expected, atol=1e-4)
    with pytest.raises(ModelError, match="The network mlp knows no tags: use everyday"):
        demo_model.tag_log_odds(embeddings)


def test_a_model_without_tags_gives_none(demo_model, song):
    verdict = demo_model.classify(song, sample_rate=8000)
    assert verdict.sounds_like == ()
    assert [segment.sounds_like for segment in verdict.segments] == [{}] * 3


@pytest.mark.parametrize("is_music", [True, False])
def test_what_is_no_music_has_no_clear_tag(tagged, is_music):
    network = copy.deepcopy(tagged.network)
    with torch.no_grad():
        network.head.bias[-1] = -99 if is_music else 99
    tags = TagReference(tagged.tags.songs - 99, tagged.tags.segments)
    model = dataclasses.replace(tagged, network=network, tags=tags)
    verdict = model.classify(music(16000, 6.4).mean(axis=1), sample_rate=16000)
    assert (verdict.note == "It does not sound like music to this model.") != is_music
    assert {one.clear for one in verdict.sounds_like} == {is_music}
    assert {one.stronger_than for one in verdict.sounds_like} == {1}


def test_the_tables_of_the_tags_are_saved_and_loaded(tagged, tagged_bundle):
    loaded = load_model(tagged_bundle)
    np.testing.assert_array_equal(loaded.tags.songs, tagged.tags.songs)
    np.testing.assert_array_equal(loaded.tags.segments, tagged.tags.segments)


@pytest.mark.parametrize("table", ["tags.songs", "tags.segments"])
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: t[:, :-1],
        lambda t: t[:, :0],
        lambda t: t[0],
        lambda t: t[None],
        lambda t: t.T,
        lambda t: t.flip(1),
        lambda t: t * math.nan,
        lambda t: t + math.inf,
        lambda t: t.double(),
        lambda t: t.half(),
    ],
    ids=["tag", "quantile", "empty", "row", "deep", "turned", "falling", "nan", "inf", "64", "16"],
)
def test_damaged_tables_of_the_tags(tagged_bundle, table, change):
    edit(tagged_bundle, tensors=with_(table, change))
    with pytest.raises(ModelError, match="damaged or was not made by GenreKit: train it again"):
        load_model(tagged_bundle)


@pytest.mark.parametrize("table", ["tags.songs", "tags.segments"])
def test_one_table_of_the_tags_without_the_other(tagged_bundle, table):
    edit(tagged_bundle, tensors=without(table))
    with pytest.raises(ModelError, match="damaged"):
        load_model(tagged_bundle)


# -- no music, and candidates --------------------------------------------------------------------


def with_logits(untrained, *logits, **settings):
    """A model with the same outputs for each segment: of its three genres, and of no music."""
    network = build_network("mlp", untrained.params.shape, len(logits), seed=0)
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor(logits))
    return dataclasses.replace(untrained, network=network, temperature=1.0, **settings)


def test_what_the_genres_lack_of_one_is_no_music(untrained, song):
    shares = np.array([0.5, 0.2, 0.1, 0.2])
    verdict = with_logits(untrained, *np.log(shares)).classify(song, sample_rate=8000)
    assert list(verdict.probabilities) == list(GENRES)
    assert list(verdict.probabilities.values()) == pytest.approx(shares[:3], abs=1e-5)
    assert verdict.outcomes["no music"] == pytest.approx(0.2, abs=1e-5)
    assert verdict.genre == "blues"


def test_candidates_reach_down_to_the_limit(untrained, song):
    shares = np.log([0.3, 0.6, 0.1])
    for limit, candidates in ((0.7, ["jazz"]), (0.25, ["jazz", "blues"]), (0, [])):
        model = with_logits(untrained, *shares, candidate_limit=limit)
        assert list(model.classify(song, sample_rate=8000).candidates) == candidates


@pytest.mark.parametrize("novelty", [0.0, 1.0])
def test_what_is_no_music_has_no_candidates(untrained, demo_model, monkeypatch, song, novelty):
    monkeypatch.setattr(Neighbours, "novelty", lambda *_: novelty)
    model = with_logits(untrained, *np.log([0.3, 0.1, 0.1, 0.5]), candidate_limit=0.2)
    model = dataclasses.replace(model, neighbours=demo_model.neighbours)
    verdict = model.classify(song, sample_rate=8000)
    assert verdict.novelty == novelty
    assert (verdict.genre, verdict.candidates) == (None, ())
    assert verdict.note == "It does not sound like music to this model."


# -- models that ship -------------------------------------------------------------------------


SHIPPED = sorted(path.parent.name for path in MODELS.glob("*/model.json"))


def test_the_default_model_ships():
    assert {DEFAULT_MODEL, "gtzan-cnn", "course-mlp"} <= set(SHIPPED)
    assert load_model().weights_sha256 == load_model(DEFAULT_MODEL).weights_sha256


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_that_ships_can_judge(name):
    model = load_model(name)
    verdict = model.classify(music(22050, 4).mean(axis=1), sample_rate=22050)
    assert 1 - NOTICEABLE <= sum(verdict.outcomes.values()) <= 1 + 1e-5
    params = model.params
    if not params.center:  # trained on stored spectrograms, so it must cut sound where frames are
        assert params.segment_samples % params.hop_length == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_that_ships_is_small_and_measured_and_knows_its_training_music(name):
    model = load_model(name)
    assert sum(file.stat().st_size for file in (MODELS / name).iterdir()) <= 8e6
    assert model.neighbours is not None
    card = model.card
    assert card["measured"]["part"] == "test"
    assert {"reliability", "track_accuracy"} <= set(card["measured"])
    assert {"split", "robustness", "not_music"} <= set(card)


def test_a_name_precedes_a_folder_of_that_name(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle.rename(tmp_path / DEFAULT_MODEL)
    assert len(load_model(DEFAULT_MODEL).genres) > len(GENRES)
    assert load_model(f"./{DEFAULT_MODEL}").genres == GENRES


@pytest.mark.parametrize("temperature", [1e-320, 1e7])
def test_a_temperature_beyond_reason_is_damage(bundle, temperature):
    path = bundle / "model.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"temperature": temperature}))
    with pytest.raises(ModelError, match="damaged"):
        load_model(bundle)


def test_infinite_outputs_are_refused(untrained, song):
    network = copy.deepcopy(untrained.network)
    with torch.no_grad():
        for weights in network.parameters():
            weights.fill_(3e38)
    wild = dataclasses.replace(untrained, network=network)
    with pytest.raises(ModelError, match="not finite"):
        wild.classify(song, sample_rate=8000)
