"""Everything that a person reads on a terminal."""
