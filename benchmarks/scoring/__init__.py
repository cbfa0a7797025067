"""How long label scoring and generation take beside others, on one core, both sides in one run."""
