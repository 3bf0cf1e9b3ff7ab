"""What a machine gives: files, memory, threads, processes, a cluster."""
