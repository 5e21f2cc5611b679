"""Tools for authors and maintainers: doctor, new, selftest, checks, the embedded model."""
