"""How fast voltphase is, beside what else could be used, measured in one run."""

from __future__ import annotations
