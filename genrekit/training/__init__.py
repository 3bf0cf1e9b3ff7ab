"""Training a model: parameters, recipes, augmentation, the loop, and the leak meter."""
