"""The head: against scikit-learn, and what its folds, weights and penalties are for."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from genrekit.model.backbone import Backbone
from models.pretraining.figures import coverage, figures
from models.pretraining.head import (
    HeadParams,
    Material,
    fit,
    heads_without_folds,
    held_out,
    judged,
    right_answers,
    temperature_of,
)
from models.pretraining.songs import (
    GENRES,
    NO_MUSIC,
    Songs,
    accepted_of,
    artist_folds,
    inputs_from,
    moves_of,
)

WIDTH, TAGS = 6, 4
CENTRES = np.random.default_rng(0).normal(0, 2, (len(GENRES) + 1, WIDTH))


def songs(genres, seed, fold="", loose=False):
    rng = np.random.default_rng(seed)
    where = [CENTRES[(*GENRES, NO_MUSIC).index(genre)] for genre in genres]
    segments = tuple(rng.normal(centre, 1, (3, WIDTH)) for centre in where)
    count = len(genres)
    names = np.array([f"{seed} {i}" for i in range(count)])
    accepted = accepted_of(genres, loose)
    folds, weights = np.full(count, fold), np.ones(count)
    return Songs(names, np.array(genres), folds, weights, accepted, segments)


def material(moves=None):
    known = sum(
        (songs(GENRES * 4, seed, str(seed)) for seed in (2, 3)), start=songs(GENRES * 4, 1, "1")
    )
    outside = songs(("rock", "pop", "electronic", "classical") * 5, 4, "outside 0", loose=True)
    moves = np.zeros((1, WIDTH)) if moves is None else moves
    return Material(known, outside, songs((NO_MUSIC,) * 9, 5), moves)


def test_without_loose_labels_it_is_logistic_regression():
    """Of scikit-learn, whose C is the inverse of our shrinkage: its losses are summed."""
    data = material()
    data = Material(
        data.known, data.known.of(data.known.folds == "none"), data.no_music, data.moves
    )
    params = HeadParams(shrinkage=0.02, residual=1.0, steadiness=0, no_music=0.5)
    known, nothing = data.known, data.no_music
    head = fit(Material(known, data.outside, nothing, data.moves), params, TAGS)
    x = (known + nothing).means
    centre = np.r_[x[:, :TAGS].mean(axis=0), np.zeros(WIDTH - TAGS)]
    scale = np.r_[x[:, :TAGS].std(axis=0) + 1e-3, np.ones(WIDTH - TAGS)]
    weights = np.r_[
        known.balanced, np.full(len(nothing), 0.5 * known.balanced.sum() / len(nothing))
    ]
    theirs = LogisticRegression(C=1 / 0.02, tol=1e-9, max_iter=5000)
    theirs.fit((x - centre) / scale, (known + nothing).genres, weights / weights.sum())
    columns = [(*GENRES, NO_MUSIC).index(genre) for genre in theirs.classes_]
    ours = torch.softmax(torch.from_numpy(head.logits(x)), dim=1).numpy()
    np.testing.assert_allclose(
        ours[:, columns], theirs.predict_proba((x - centre) / scale), atol=2e-3
    )


def test_loose_labels_accept_their_neighbours():
    accepted = accepted_of(["rock", "pop", "electronic", NO_MUSIC], loose=True)
    answers = (*GENRES, NO_MUSIC)
    chosen = [{answers[i] for i in np.flatnonzero(row)} for row in accepted]
    assert chosen == [{"rock", "metal", "pop"}, {"pop", "rock"}, {"electronic"}, {NO_MUSIC}]
    assert accepted_of(["rock", NO_MUSIC]).sum(axis=1).tolist() == [1, 1]


def test_rock_and_pop_are_told_apart_where_labels_are_strict():
    data = material()
    logits = fit(data, HeadParams(), TAGS).logits(data.known.means)
    rock, pop = (GENRES.index(genre) for genre in ("rock", "pop"))
    is_rock, is_pop = (data.known.genres == genre for genre in ("rock", "pop"))
    gap = logits[:, rock] - logits[:, pop]
    assert gap[is_rock].mean() > 1
    assert gap[is_pop].mean() < -1


def test_a_verdict_of_an_accepted_genre_is_right():
    of = songs(("rock", "rock", "pop", "classical"), 0, "a", loose=True)
    rows = np.zeros((4, len(GENRES)))
    for row, (genre, share) in enumerate(
        (("metal", 0.9), ("jazz", 0.6), ("rock", 0.4), ("classical", 0.7))
    ):
        rows[row, GENRES.index(genre)] = share
    assert (rows.argmax(axis=1) == right_answers(rows, of)).tolist() == [True, False, True, True]
    found = figures(rows, of, threshold=0.5)
    assert found["accuracy"] == 0.75
    assert (found["sure"], found["right_when_sure"]) == (0.75, pytest.approx(2 / 3))
    assert found["recall"] == {"classical": 1.0, "pop": 1.0, "rock": 0.5}


def test_steadiness_ignores_what_the_sound_s_path_changes():
    moved = np.zeros((2, WIDTH))
    moved[:, 1] = 3, -3
    loose, steady = (
        fit(material(moved), HeadParams(steadiness=weight), TAGS).weights for weight in (0, 10)
    )
    assert np.abs(steady[1]).max() < 0.2 * np.abs(loose[1]).max()
    assert np.abs(steady[0]).max() > 0.5 * np.abs(loose[0]).max()


def test_no_song_is_judged_by_a_head_that_knows_its_fold():
    data = material()
    heads = heads_without_folds(data, data.known, HeadParams(), TAGS)
    kept, logits = held_out(data.known, heads)
    without = fit(data, HeadParams(), TAGS, "2")
    for i in np.flatnonzero(kept.folds == "2"):
        np.testing.assert_allclose(logits[i], without.logits(kept.segments[i].mean(axis=0)))
    rows = judged(logits, 1.0)
    assert rows.shape == (len(kept), len(GENRES))
    assert (rows.sum(axis=1) < 1).all()  # the rest is "no music"
    assert (rows.argmax(axis=1) == right_answers(rows, kept)).mean() > 0.7
    found = coverage(rows, kept)
    assert found["coverage"] > 0.8
    assert found["mean_size"] >= 1


def test_the_temperature_undoes_a_scale():
    """Of labels drawn from the probabilities of logits that were then made too large."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3000, len(GENRES) + 1))
    logits[:, -1] = -30
    drawn = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    of = Songs(
        np.arange(3000).astype(str),
        np.array([*GENRES, NO_MUSIC])[drawn],
        np.full(3000, "a"),
        np.ones(3000),
        accepted_of(np.array([*GENRES, NO_MUSIC])[drawn]),
        (),
    )
    assert temperature_of((of, 2 * logits)) == pytest.approx(2, rel=0.15)


def test_artists_stay_together():
    artists = {f"song {i}": f"artist {i // 3 if i < 30 else i}" for i in range(60)}
    folds = artist_folds(artists)
    for artist in set(artists.values()):
        assert len({folds[song] for song, a in artists.items() if a == artist}) == 1
    sizes = [list(folds.values()).count(fold) for fold in set(folds.values())]
    assert len(sizes) == 5
    assert max(sizes) - min(sizes) <= 1
    assert artist_folds(artists) == folds


def test_the_inputs_are_tags_and_what_the_embedding_says_beyond_them():
    torch.manual_seed(0)
    backbone = Backbone().eval()
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(400, 200)).astype(np.float32)
    inputs = inputs_from(backbone, embeddings)
    values = inputs.of(embeddings)
    with torch.inference_mode():
        tags = backbone.tags(torch.from_numpy(embeddings)).numpy()
    np.testing.assert_allclose(values[:, :50], tags, atol=1e-5)
    residual = values[:, 50:]
    np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-6)
    correlated = np.corrcoef(values.T)[:50, 50:]
    assert np.abs(correlated).max() < 0.02  # nothing is left that the tags explain
    assert np.linalg.svd(residual)[1][0] / np.sqrt(400) == pytest.approx(1)
    np.testing.assert_array_equal(inputs.of_tags(tags)[:, 50:], 0)
    means = np.stack([embeddings[:5], embeddings[5:10]], axis=1)
    np.testing.assert_allclose(
        moves_of(means, inputs), inputs.of(embeddings[5:10]) - inputs.of(embeddings[:5]), atol=1e-5
    )


def test_the_head_becomes_one_layer():
    torch.manual_seed(0)
    embeddings = np.random.default_rng(1).normal(size=(300, 200)).astype(np.float32)
    inputs = inputs_from(Backbone().eval(), embeddings)
    segments = inputs.of(embeddings)
    genres = np.array(GENRES * 25)[:270]
    count = len(genres)
    known = Songs(
        np.arange(count).astype(str),
        genres,
        np.full(count, ""),
        np.ones(count),
        accepted_of(genres),
        tuple(segments[:count, None]),
    )
    nothing = Songs(
        np.arange(30).astype("<U9"),
        np.full(30, NO_MUSIC),
        np.full(30, ""),
        np.ones(30),
        accepted_of([NO_MUSIC] * 30),
        tuple(segments[count:, None]),
    )
    data = Material(known, known, nothing, np.zeros((1, 250)))
    head = fit(data, HeadParams(), 50)
    layer = head.folded(inputs)
    assert layer.weight.shape == (len(GENRES) + 1, 200)
    with torch.inference_mode():
        np.testing.assert_allclose(
            layer(torch.from_numpy(embeddings)), head.logits(segments), atol=1e-4
        )
