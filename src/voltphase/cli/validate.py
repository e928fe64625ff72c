"""``voltphase validate``: the physics against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voltphase.cli.common import FAILED, given_path, say, say_table


def validate(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Also write the results and figures here.",
            show_default=False,
            parser=given_path,
        ),
    ] = None,
) -> None:
    """Compare the propagation of light with closed forms; exits 1 if it is off.

    [bold]Example[/bold]

      voltphase validate --out validation
    """
    from voltphase import validation

    rows = validation.run(out)
    lines = [["case", "method", "error", "tolerance", "pass"]]
    for row in rows:
        passed = "passed" if row.passed else "FAILED"
        lines.append([row.case, row.method, f"{row.error:.1e}", f"{row.tolerance:.1e}", passed])
    say_table(lines)
    failed = sum(not row.passed for row in rows)
    say(f"{len(rows) - failed} of {len(rows)} comparisons passed")
    if failed:
        raise typer.Exit(FAILED)
