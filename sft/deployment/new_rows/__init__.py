"""New rows answered by a finished experiment: its model, adapter, prompt, examples and calibration, as they were.

A process of its own runs the model (`python -m sft.deployment.new_rows`); the one that started it reads what the
experiment left, checks the file of new rows, and says how it goes.
"""
