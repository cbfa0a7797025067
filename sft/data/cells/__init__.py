"""What the cells of used columns hold: empty ones, conversations, fields within them."""
