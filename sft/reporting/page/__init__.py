"""The leaderboard as one page that needs no network: its data, and the files that show them."""
