"""Intervals, ranks and tests of a few values."""
