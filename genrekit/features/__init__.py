"""Sound as numbers: MFCCs and log-mel spectrograms, followed back and turned into sound again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
