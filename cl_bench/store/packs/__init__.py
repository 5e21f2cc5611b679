"""Packed runs: a finished run as one file that another person can check and add."""
