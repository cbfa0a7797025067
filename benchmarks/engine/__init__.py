"""How long the engine takes, beside the work itself; every comparison is made in one run."""
