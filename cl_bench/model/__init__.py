"""Language models: which there are, how they are loaded, sampled from and scored."""
