"""Finished stages of other results folders: looked for, and taken over."""
