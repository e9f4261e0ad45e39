"""Metrics that are exact, explained, and the same whatever the order of arrival."""
