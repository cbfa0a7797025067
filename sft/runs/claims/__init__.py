"""Claims of a folder, for file systems that lock no files."""
