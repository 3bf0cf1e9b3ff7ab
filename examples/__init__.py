"""Ten short pieces composed for GenreKit, and what renders them; see README.md."""
