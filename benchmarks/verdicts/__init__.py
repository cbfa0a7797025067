"""How often verdicts on boards of known truth are wrong, and how often they find it."""
