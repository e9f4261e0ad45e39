"""Alerts: what is worth telling the owner, decided once and durably."""
