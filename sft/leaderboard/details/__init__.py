"""What one experiment is looked at for: its errors, its confidence, its training and its prompts."""
