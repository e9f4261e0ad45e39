"""The HTTP and WebSocket face of Sidewatch."""
