"""A trained model and all that its use needs: network, calibration, neighbours, measurements."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
