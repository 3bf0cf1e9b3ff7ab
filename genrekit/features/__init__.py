"""Sound as numbers: MFCCs and log-mel spectrograms, followed back and turned into sound again."""
