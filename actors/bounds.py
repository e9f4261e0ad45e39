"""Bounds that several actors share."""

from __future__ import annotations

from typing import Final

BOTS_MAX: Final = 256  # with figures and health of their own; names may be made up
