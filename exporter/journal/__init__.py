"""What outlives a restart: verdicts, and the small states that must not be forgotten."""
