"""What drives one run: settings, runner, evaluator, identity, progress."""
