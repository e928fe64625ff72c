"""What is shown of a training beside its figures, by the loggers that its configuration asks for."""

from __future__ import annotations
