"""The settings of a training run, and the defaults of each network; without PyTorch."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from genrekit.errors import SettingsError
from genrekit.ranges import check_number, check_switch, check_whole

__all__ = ["NETWORK_DEFAULTS", "TrainParams"]

_OWN_RECIPES: Final = {"everyday": "head", "svm": "fit", "knn": "fit"}
# Settings of networks, which learn step by step.
_OF_STEPS: Final = ("epochs", "batch_size", "learning_rate", "keep", "normalise")


@dataclass(frozen=True)
class TrainParams:
    """The settings of one training run; the defaults are the course's.

    Attributes
    ----------
    network : a key of `NETWORKS`; others are refused when training begins
    recipe : "course", "robust", "head" or "fit"
        Plain; with augmentation, mixup and averaged weights; for everyday alone, the last layer on
        a backbone that stays as it is; or, for svm and knn alone, at once: see `recipes`.
    epochs, batch_size : int, >= 1
    learning_rate : float, > 0, up to 10, of Adam
    seed : int, >= 0, of the first weights and of the order of the examples
    keep : "last" or "best"
        The weights after the last epoch, or after the one with the lowest validation loss.
    normalise : bool, whether each coefficient is standardised
    device : str, "auto" (CUDA where available) or a PyTorch device

    Raises
    ------
    SettingsError
        When made: another value is out of range.

    Examples
    --------
    >>> genrekit.TrainParams(epochs=30).batch_size
    32
    """

    network: str = "mlp"
    recipe: Literal["course", "robust", "head", "fit"] = "course"
    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-4
    seed: int = 0
    keep: Literal["last", "best"] = "last"
    normalise: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        ranges = {"epochs": (1, 10_000), "batch_size": (1, 65_536), "seed": (0, 2**63 - 1)}
        for name, (low, high) in ranges.items():
            check_whole(name, getattr(self, name), low, high)
            object.__setattr__(self, name, int(getattr(self, name)))
        check_number("learning_rate", self.learning_rate, 0, 10, above=True)
        object.__setattr__(self, "learning_rate", float(self.learning_rate))
        check_switch("normalise", self.normalise)
        object.__setattr__(self, "normalise", bool(self.normalise))
        if self.recipe not in ("course", "robust", *_OWN_RECIPES.values()):
            raise SettingsError(f'recipe is "{self.recipe}": use course or robust.')
        own = _OWN_RECIPES.get(self.network)
        if self.recipe != own and (own or self.recipe in _OWN_RECIPES.values()):
            raise SettingsError(
                f"The recipe {self.recipe} is not one of the network {self.network}: leave the "
                "recipe out."
            )
        if self.recipe == "fit":
            self._check_fitted_at_once()
        if self.network == "everyday" and self.normalise:
            raise SettingsError("The network everyday takes features as they are: no normalise.")
        if self.keep not in ("last", "best"):
            raise SettingsError(f'keep is "{self.keep}": use last or best.')

    def _check_fitted_at_once(self) -> None:
        for name in _OF_STEPS:
            if getattr(self, name) != (1 if name == "epochs" else getattr(TrainParams, name)):
                raise SettingsError(
                    f"{self.network} is fitted at once and has no {name}: leave it out."
                )

    def used(self) -> dict[str, Any]:
        """Return the settings that decide the result, as plain values."""
        without = {"device", *(_OF_STEPS if self.recipe == "fit" else ())}
        return {name: value for name, value in asdict(self).items() if name not in without}


NETWORK_DEFAULTS: Final[dict[str, TrainParams]] = {
    "mlp": TrainParams(),
    "cnn": TrainParams("cnn", "robust", epochs=30, batch_size=64, learning_rate=4e-3),
    "everyday": TrainParams("everyday", "head", epochs=40, batch_size=64, learning_rate=3e-3),
    "svm": TrainParams("svm", "fit", epochs=1),
    "knn": TrainParams("knn", "fit", epochs=1),
}
