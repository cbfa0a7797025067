"""The baselines of boards, read from the jobs that measured them."""
