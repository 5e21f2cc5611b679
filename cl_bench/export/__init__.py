"""A run's model as a Hugging Face folder: weights, tokenizer, prompts and a model card."""
