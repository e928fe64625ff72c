"""Pictures of runs and devices, and the page that shows them."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    import voltphase.core.surroundings  # noqa: F401 - before anything here imports matplotlib
    from voltphase.reporting.bench_sheet import write_bench_sheet
    from voltphase.reporting.overview import overview_figure, save_overview
    from voltphase.reporting.page import REPORT_NAME, write_report
    from voltphase.reporting.pictures import ImagePictures
    from voltphase.reporting.sweep import write_sweep_report

__all__ = [
    "REPORT_NAME",
    "ImagePictures",
    "overview_figure",
    "save_overview",
    "write_bench_sheet",
    "write_report",
    "write_sweep_report",
]
