"""The map of segments, against scikit-learn."""

import dataclasses

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from genrekit.dataset.projection import genre_averages, segment_map
from genrekit.dataset.summary import segment_summary


def test_the_map_equals_scikit_learn_up_to_signs(make_dataset):
    data = make_dataset()
    pca = PCA(2)
    expected = pca.fit_transform(StandardScaler().fit_transform(segment_summary(data.features)))
    points, explained = segment_map(data)
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-3)
    np.testing.assert_allclose(explained, pca.explained_variance_ratio_, atol=1e-6)


def test_constant_coefficients_are_harmless(make_dataset):
    data = make_dataset()
    features = data.features.copy()
    features[:, :, 0] = -100
    points, explained = segment_map(dataclasses.replace(data, features=features))
    assert np.isfinite(points).all()
    assert 0 < explained[1] <= explained[0] < 1


def test_the_averages_are_those_of_each_genre_in_deviations(make_dataset):
    data = make_dataset()
    means = data.features.mean(axis=1)
    expected = StandardScaler().fit_transform(means)
    averages = genre_averages(data)
    for i in range(len(data.genres)):
        np.testing.assert_allclose(averages[i], expected[data.labels == i].mean(axis=0), atol=1e-4)


def test_a_genre_without_segments_has_no_average(make_dataset):
    data = make_dataset()
    averages = genre_averages(dataclasses.replace(data, genres=(*data.genres, "empty")))
    assert np.isnan(averages[-1]).all()
    assert np.isfinite(averages[:-1]).all()
