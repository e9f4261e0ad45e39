"""What an operator sets, and the secrets that are never printed."""
