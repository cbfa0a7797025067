"""Base models and tokenizers: where they are, which exactly, and how they are loaded."""
