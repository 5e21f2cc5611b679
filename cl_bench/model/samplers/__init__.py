"""Samplers, which generate: one protocol, and one file for each kind."""
