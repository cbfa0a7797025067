"""A run on the terminal while it goes."""
