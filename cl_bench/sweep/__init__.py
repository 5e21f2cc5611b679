"""Many runs: what each is (`Cell`), and a pool of processes that makes those that are missing."""
