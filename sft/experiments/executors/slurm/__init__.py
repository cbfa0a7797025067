"""Chains of jobs as batch jobs of Slurm."""
