"""What grids of thousands of stages cost the runner."""
