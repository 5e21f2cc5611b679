"""The report: leaderboard, figures and runs as one HTML page and its Markdown twin."""
