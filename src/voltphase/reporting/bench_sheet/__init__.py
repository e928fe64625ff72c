"""The bench sheet: one printable page for whoever sets a deployed system up, and pictures to set it up with."""

from __future__ import annotations

from voltphase.reporting.bench_sheet.write import write_bench_sheet

__all__ = ["write_bench_sheet"]
