"""The paper's tables and figures as grids of training runs, and pages made from their results."""

from __future__ import annotations

import voltphase.surroundings  # noqa: F401 - before anything here imports matplotlib
