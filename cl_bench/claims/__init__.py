"""The claims of fast-slow training: rule, runs, measurement and figure of each."""
