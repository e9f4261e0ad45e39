"""The launcher: puts our own folders first, so that a bot's `config.py` never shadows ours."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the command line from the installed package or from a checkout."""
    here = Path(__file__).resolve().parent
    root = here / "app" if (here / "app").is_dir() else here.parent
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry != str(root))]
    from sidewatch import cli  # noqa: PLC0415 - only now is the path ours

    cli.main()


if __name__ == "__main__":
    main()
