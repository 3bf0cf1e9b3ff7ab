"""The estimator, by scikit-learn's own checks and in its company."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from genrekit.errors import SettingsError
from genrekit.training.estimator import GenreClassifier


@parametrize_with_checks([GenreClassifier(epochs=20)])
def test_it_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def blobs():
    x, y = make_blobs(120, n_features=6, centers=3, cluster_std=2, random_state=0)
    return x, np.array(["jazz", "pop", "rock"])[y]


def test_it_learns_the_names_that_it_is_given(blobs):
    x, y = blobs
    classifier = GenreClassifier(epochs=20).fit(x, y)
    assert classifier.classes_.tolist() == ["jazz", "pop", "rock"]
    assert classifier.score(x, y) > 0.95
    probabilities = classifier.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    assert (classifier.predict(x) == classifier.classes_[probabilities.argmax(axis=1)]).all()


def test_the_seed_decides_alone(blobs):
    first, again = (GenreClassifier(epochs=2).fit(*blobs).predict_proba(blobs[0]) for _ in "ab")
    other = GenreClassifier(epochs=2, random_state=1).fit(*blobs).predict_proba(blobs[0])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_it_works_in_a_pipeline_and_in_a_search(blobs):
    x, y = blobs
    pipeline = make_pipeline(StandardScaler(), GenreClassifier(epochs=10, normalise=False))
    assert cross_val_score(pipeline, x, y, cv=3).mean() > 0.9
    search = GridSearchCV(GenreClassifier(batch_size=16), {"epochs": [1, 15]}, cv=3).fit(x, y)
    assert search.best_params_ == {"epochs": 15}


def test_it_learns_from_a_dataset_as_a_table(demo):
    table = demo.to_pandas()
    rows = table.filter(regex="mean|std")
    classifier = GenreClassifier(epochs=30).fit(rows, table.genre)
    assert classifier.feature_names_in_[0] == "mfcc1_mean"
    assert classifier.score(rows, table.genre) > 0.9


def test_settings_out_of_range_are_refused_in_plain_words(blobs):
    with pytest.raises(SettingsError, match="epochs is 0: use a whole number from 1"):
        GenreClassifier(epochs=0).fit(*blobs)
