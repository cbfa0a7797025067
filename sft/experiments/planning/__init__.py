"""From configs to experiments that are checked, fingerprinted and keyed."""
