"""From a grid file, or a value in Python, to the configs of its experiments."""
