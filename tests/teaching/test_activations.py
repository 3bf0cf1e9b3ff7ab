"""One neuron and its activation functions: the course's figures, and values at the ends."""

import warnings

import numpy as np
import pytest

from genrekit.errors import SettingsError
from genrekit.teaching.neuron import ACTIVATIONS, neuron

sigmoid = ACTIVATIONS["sigmoid"]


def test_the_neuron_of_the_course():
    result = neuron([0.5, 0.3, 0.2], [0.4, 0.7, 0.2])
    assert result.activation == 0.610639233949222
    np.testing.assert_allclose(result.products, [0.2, 0.21, 0.04])
    assert result.net_input == pytest.approx(0.45)
    assert result.activation == pytest.approx(1 / (1 + np.exp(-0.45)), abs=1e-15)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("tanh", np.tanh(-0.2)), ("relu", 0), ("identity", -0.2), ("step", 0)],
)
def test_a_neuron_with_bias_and_another_activation(activation, expected):
    result = neuron([1, 2], [0.5, -0.25], bias=-0.2, activation=activation)
    assert result.net_input == pytest.approx(-0.2)
    assert result.activation == pytest.approx(expected)


def test_neuron_refuses_what_does_not_fit():
    with pytest.raises(SettingsError, match="3 inputs do not fit 2 weights"):
        neuron([1, 2, 3], [1, 2])
    with pytest.raises(SettingsError, match="give one weight for each input"):
        neuron([[1, 2]], [[1, 2]])
    with pytest.raises(SettingsError, match='activation "softplus": use one of sigmoid'):
        neuron([1], [1], activation="softplus")


def test_activations_at_the_ends_of_the_scale():
    h = np.array([[-1e4, -1.5, 0.0, 1.5, 1e4]])
    with warnings.catch_warnings(action="error"):
        np.testing.assert_allclose(
            ACTIVATIONS["sigmoid"](h)[0], [0, 0.18242552, 0.5, 0.81757448, 1], atol=1e-8
        )
        assert float(sigmoid(-1e9)) == 0
    assert ACTIVATIONS["relu"](h)[0].tolist() == [0, 0, 0, 1.5, 1e4]
    assert ACTIVATIONS["step"](h)[0].tolist() == [0, 0, 0, 1, 1]
    assert ACTIVATIONS["identity"](h).tolist() == h.tolist()
    assert np.ndim(ACTIVATIONS["tanh"](0.3)) == 0
