"""What music theory asks of a song: its beat, its key, its parts."""
