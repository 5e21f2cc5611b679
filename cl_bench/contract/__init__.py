"""The agreement of core and plug-ins: tasks, streams, learners, registry, settings, errors."""
