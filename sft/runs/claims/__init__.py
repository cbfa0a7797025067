"""Claims of a folder, for file systems that lock no files, and of a chain that a cluster may have taken twice."""
