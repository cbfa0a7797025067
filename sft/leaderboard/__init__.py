"""What results say: boards, groups, statistics, effects."""
