"""How models answer: of which kind they are, the heads that answer for labels, and that no weight is missing."""
