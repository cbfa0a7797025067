"""Log-probabilities of given labels after given prompts."""
