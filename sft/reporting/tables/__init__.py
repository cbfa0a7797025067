"""Boards as the cells of tables."""
