"""The server: start and stop, probes, compression, memory."""
