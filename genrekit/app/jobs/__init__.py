"""Long work as processes with folders: the queue, the storage, the process itself."""
