"""Masks of one's own for the attention of a model, and whether it takes them."""
