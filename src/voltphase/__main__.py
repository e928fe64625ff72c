"""``python -m voltphase``: the command line."""

from __future__ import annotations

from voltphase.cli.process import main

if __name__ == "__main__":
    main()
