"""Adding runs to the results: verified, packed, put into their place."""
