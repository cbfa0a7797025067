"""A results folder afterwards: looking at it, verifying it, cleaning it."""
