"""Intervals, ranks and tests for few values."""
