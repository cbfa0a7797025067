"""Two experiments, or two groups of seeds, beside each other: what they share, how they differ, and on which rows."""
