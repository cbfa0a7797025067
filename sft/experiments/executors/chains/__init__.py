"""Jobs on clusters: chains of them, what a cluster must be able to do, and an executor for any that can."""
