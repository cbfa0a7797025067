"""A first grid for data that somebody brings."""
