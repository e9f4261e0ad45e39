"""Health: how the bot's safety controls and its exchange are doing, and why."""
