"""A trained model as one model, for programs that know no adapters."""
