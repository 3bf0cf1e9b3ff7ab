"""The playground: a network that learns before your eyes."""
