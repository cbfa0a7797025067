"""SSF: a trained scale and shift on what each layer gives."""
