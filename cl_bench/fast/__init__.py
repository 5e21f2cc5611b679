"""What trains prompts."""
