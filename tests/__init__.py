"""A package, so that no `tests` of an installed library takes its name."""
