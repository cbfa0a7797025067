"""Chains of jobs as tasks of Ray."""
