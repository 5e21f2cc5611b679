"""The run directory and its tables, packed runs, and the verification of either."""
