"""Jobs as processes of this machine, and the parts of the machine that they share."""
