"""What trains parameters."""
