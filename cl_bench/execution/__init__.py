"""Driving one run: settings, checks before it, runner, evaluator, progress, provenance."""
