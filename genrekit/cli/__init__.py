"""The command line, `python -m genrekit`."""
