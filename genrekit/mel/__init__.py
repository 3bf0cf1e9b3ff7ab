"""The mel scale: its formulas and filter banks, lists of numbers, and sounds to hear it with."""
