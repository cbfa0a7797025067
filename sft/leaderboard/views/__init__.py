"""A leaderboard looked at in another way than its files do: by another metric, by settings, as a pair."""
