"""The gate: runs of a candidate against runs of a reference, in three values (`cl_bench.regression`)."""
