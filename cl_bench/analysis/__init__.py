"""What runs measured: values of a run, comparability, paired differences."""
