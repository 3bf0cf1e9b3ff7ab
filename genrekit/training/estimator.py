"""The course's network as an estimator of scikit-learn, for rows of numbers.

Importing this module imports scikit-learn and PyTorch.
"""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from genrekit.model.networks import build_network
from genrekit.training.params import TrainParams
from genrekit.training.recipes import CourseRecipe
from genrekit.training.rows import normalisation

__all__ = ["GenreClassifier"]


class GenreClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The course's network and its training, on rows of features.

    It takes whatever describes a sound as one row of numbers: a flattened segment, or means over
    time as of `Dataset.to_pandas`. A `GenreModel`, which `train` makes, also knows how to compute
    its features, how sure it may be, and what its score is worth.

    Parameters
    ----------
    epochs, batch_size, learning_rate
        As of `TrainParams`; the learning rate is higher, since rows are few.
    normalise : bool, whether each column is standardised
    random_state : int, RandomState or None, of the first weights and of the order of the examples

    Attributes
    ----------
    classes_ : ndarray, shape (classes,)
    n_features_in_ : int
    network_ : torch.nn.Module, from standardised rows to logits

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(40, 5))
    >>> y = np.where(x[:, 0] > 0, "jazz", "rock")
    >>> classifier = GenreClassifier(epochs=10).fit(x, y)
    >>> classifier.predict_proba(x[:3]).shape
    (3, 2)
    >>> classifier.score(x, y)
    1.0
    """

    def __init__(
        self,
        *,
        epochs: int = 50,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        normalise: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.normalise = normalise
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows, shape (n, d), and the class of each, shape (n,)."""
        x, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        params = TrainParams(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            normalise=self.normalise,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
        )
        width = x.shape[1]
        self._mean, self._std = np.zeros(width, np.float32), np.ones(width, np.float32)
        if params.normalise:
            self._mean, self._std = normalisation(x[:, np.newaxis], np.arange(len(x)))
        self.network_ = build_network("mlp", (1, width), len(self.classes_), params.seed)
        target = torch.from_numpy(labels.astype(np.int64))
        recipe = CourseRecipe(self.network_, self._rows(x), target, params.learning_rate)
        order = torch.Generator().manual_seed(params.seed)
        for _ in range(params.epochs):
            recipe.epoch(torch.randperm(len(x), generator=order), params.batch_size)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each of `classes_` for rows: shape (n, classes)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float32, reset=False)
        with torch.inference_mode():
            return self.network_(self._rows(x)).double().softmax(dim=1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the likeliest class of each row, shape (n,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _rows(self, x: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy((x - self._mean) / self._std)[:, None]
