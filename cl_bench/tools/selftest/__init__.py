"""`cl-bench selftest`: is a run that was killed and resumed equal to one that never was?

Small runs on the embedded model are killed (SIGKILL, from inside) at random moments and at random
accesses to their files, resumed, killed again, and their tables compared with those of a run that
nobody disturbed. Two undisturbed runs are compared first: where a device is not deterministic, this
says by how much.
"""
