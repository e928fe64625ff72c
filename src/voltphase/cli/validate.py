"""``voltphase validate``: the physics against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voltphase.cli.common import path_option
from voltphase.cli.exit_codes import FAILED
from voltphase.cli.voice import say, say_table


def validate(
    out: Annotated[Path | None, path_option("--out", "-o", help="Also write the results and figures here.")] = None,
) -> None:
    """Compare the propagation of light with closed forms; exits 1 if it is off.

    [bold]Example[/bold]

      voltphase validate --out validation
    """
    from voltphase import validation

    comparisons = validation.run(out)
    lines = [
        [one.case, one.method, f"{one.error:.1e}", f"{one.tolerance:.1e}", "passed" if one.passed else "FAILED"]
        for one in comparisons
    ]
    say_table([["case", "method", "error", "tolerance", "pass"], *lines])
    failed = sum(not one.passed for one in comparisons)
    say(f"{len(comparisons) - failed} of {len(comparisons)} comparisons passed")
    if failed:
        raise typer.Exit(FAILED)
