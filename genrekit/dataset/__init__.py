"""Folders of music become labelled segments: checked, split, stored, converted."""
