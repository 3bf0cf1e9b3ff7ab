"""The making of the `everyday` model: a published network trained on, and a head for genres."""
