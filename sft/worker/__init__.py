"""`python -m sft.worker JOB_FOLDER`: one stage in one process."""
