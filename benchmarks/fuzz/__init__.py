"""Damaged and hostile files, fed to the functions that take uploads."""
