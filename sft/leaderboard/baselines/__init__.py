"""What a board's numbers are worth: the same shots and evaluated rows, without any language model."""
