"""LoRA: the method, its options, and how it is begun, taken up again and saved."""
