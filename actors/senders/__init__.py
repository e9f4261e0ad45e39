"""Senders: each channel alone with its queue, so that one outage delays no other."""
