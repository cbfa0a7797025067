"""A trained adapter in other programs."""
