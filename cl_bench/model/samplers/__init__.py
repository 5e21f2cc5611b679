"""What generates: one protocol, and one file for each kind of sampler."""
