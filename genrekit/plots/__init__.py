"""Plots for notebooks and papers, drawn with Matplotlib, an optional package."""
