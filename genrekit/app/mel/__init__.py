"""The mel page."""
