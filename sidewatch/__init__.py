"""Sidewatch runs beside a trading bot and makes sure its owner hears about trouble."""

__version__ = "0.1.0"
