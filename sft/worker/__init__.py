"""`python -m sft.worker JOB_FOLDER [ATTEMPT]`: one stage in one process."""
