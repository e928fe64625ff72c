"""``voltphase validate``: the physics against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voltphase.cli.common import FAILED, console


def validate(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Also write the results and figures here.", show_default=False),
    ] = None,
) -> None:
    """Compare the propagation of light with closed forms; exits 1 if it is off.

    [bold]Example[/bold]

      voltphase validate --out validation
    """
    from rich.table import Table

    from voltphase import validation

    rows = validation.run(out)
    table = Table("case", "method", "error", "tolerance", "pass", box=None)
    for row in rows:
        table.add_row(
            row.case,
            row.method,
            f"{row.error:.1e}",
            f"{row.tolerance:.1e}",
            "passed" if row.passed else "FAILED",
        )
    terminal = console()
    terminal.print(table)
    failed = sum(not row.passed for row in rows)
    terminal.print(f"{len(rows) - failed} of {len(rows)} comparisons passed")
    if failed:
        raise typer.Exit(FAILED)
