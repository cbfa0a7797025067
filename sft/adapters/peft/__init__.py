"""Methods of PEFT: the folders that PEFT writes, and whether an adapter fits a model."""
