"""A domain, a stream, a learner and a metric from outside of cl-bench."""
