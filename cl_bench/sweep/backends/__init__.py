"""Where the runs of a sweep are made: one protocol, and a file for each kind of place."""
