"""Checks of configs before anything runs: names and options, data, tokenizers, metrics."""
