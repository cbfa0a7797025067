"""From a plan to finished jobs."""
