"""What the process tells the shell at its end."""

from __future__ import annotations

from typing import Final

FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
#: What a shell says of a program that wrote to a pipe with nobody at its end.
BROKEN_PIPE: Final = 141
