"""What the rows of an experiment are like: labels by split, texts that stand twice, lengths."""
