"""GenreKit against the straightforward way, side by side: `python -m benchmarks --help`."""
