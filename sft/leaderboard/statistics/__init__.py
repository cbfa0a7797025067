"""Intervals, tests and the comparison of groups."""
