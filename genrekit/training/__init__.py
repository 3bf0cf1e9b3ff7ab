"""Training a model: parameters, recipes, augmentation, the loop, and the leak meter."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
