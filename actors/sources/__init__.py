"""Sources: each bot protocol translated into the native events."""
