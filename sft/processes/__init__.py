"""Processes of this program: what they import, and which variables they get."""
