"""What was read of a results folder, kept so that reading it again costs what is new."""
