"""Results held against themselves: every stored number is computed again from the raw rows."""
