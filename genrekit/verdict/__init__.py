"""One song and everything that can be asked about it."""
