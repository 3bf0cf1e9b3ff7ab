"""GenreKit against the straightforward way of doing the same, timed side by side."""
