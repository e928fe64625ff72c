"""The command line: ``voltphase train``, ``deploy``, ``verify`` and the rest."""

from __future__ import annotations

from voltphase.cli.app import app, main

__all__ = ["app", "main"]
