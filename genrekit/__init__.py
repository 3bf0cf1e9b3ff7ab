"""GenreKit shows people how a machine hears music.

Audio flows one way: folder or file -> audio -> features -> dataset -> training -> model ->
verdict, and each arrow is a room of this package, a folder with a docstring that says what it
holds. The names that most programs need are here: `genrekit.load_audio`, `genrekit.train`, ...
They are loaded when they are first used; importing the package itself loads no heavy library.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
