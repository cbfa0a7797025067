"""Tries of jobs while they run, and at their end."""
