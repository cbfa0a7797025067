"""Answers of models with an encoder, which reads a row once, and a decoder of their own."""
