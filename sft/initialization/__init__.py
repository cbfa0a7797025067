"""Initial adapter weights from the base weights."""
