"""Generated music in a dozen styles, for demonstrations and tests."""
