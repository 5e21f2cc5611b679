"""The claims of fast-slow training, each with its rule, its runs, its measurement and its figure."""
