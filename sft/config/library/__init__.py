"""What installed libraries accept, read from their source without importing them."""
