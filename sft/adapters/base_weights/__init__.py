"""Methods that train weights of the base model itself, all of them or those nearest to the output."""
