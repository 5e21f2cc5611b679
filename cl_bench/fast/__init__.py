"""Training prompts: a population of system prompts, rounds of GEPA, and reflection."""
