"""Measurements of runs: values of a run, comparability, paired differences."""
