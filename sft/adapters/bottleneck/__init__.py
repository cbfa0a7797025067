"""Bottleneck adapters: small layers after attention and feed-forward."""
