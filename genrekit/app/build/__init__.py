"""The dataset and training pages."""
