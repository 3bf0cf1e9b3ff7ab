"""GenreKit shows people how a machine hears music.

Audio flows one way: folder or file -> audio -> features -> dataset -> training -> model ->
verdict, and each arrow is a module of this package. Importing the package itself loads none of
the heavy libraries; a module loads what it needs.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
