"""Layers whose weights are packed: how they are read, and kept readable."""
