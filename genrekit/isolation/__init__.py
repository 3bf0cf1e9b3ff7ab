"""Processes with few rights, in which strangers' files are read."""
