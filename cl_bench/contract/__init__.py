"""What the core and plug-ins agree on: tasks, streams, learners, the registry, settings, errors."""
