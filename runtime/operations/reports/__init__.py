"""What travelled in a period, and what has not travelled yet."""
