"""Tables in Markdown, the paper's number beside ours, and their places on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from voltphase.core.errors import OutputError
from voltphase.sweeps.results import Outcomes

MISSING = "missing"
_ROUNDING = 1e-9

#: What speaks for or against a claim: names of numbers, and the numbers where they are known.
Numbers = Iterable[tuple[str, float | None]]


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; every row has as many cells as the heading.

    Examples:
        >>> print(table(["depth", "ours"], [["1", "0.9591"]]), end="")
        | depth | ours |
        | --- | --- |
        | 1 | 0.9591 |
    """
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def marks(name: str) -> tuple[str, str]:
    """Return what stands on a page before and after the block of that name."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def replace_block(text: str, name: str, block: str, page: Path) -> str:
    """Return the text of ``page`` with ``block`` between the marks of its name, in place of what is there."""
    begin, end = marks(name)
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    if not text.count(begin) == text.count(end) == rest.count(end) == 1:
        raise OutputError(
            f"expected {begin} once in {page} and after it {end} once, but got {text.count(begin)} and "
            f"{text.count(end)} of them: put them around what may be replaced"
        )
    return f"{before}{begin}\n{block}{end}{after}"


def ours(outcomes: Outcomes, *path: str) -> str:
    """Return the mean of a number over the results for one cell of a table, whose runs ``outcomes`` are.

    With spread and count where there are several results; a dash where nothing was to be run.
    """
    mean, spread = outcomes.mean(*path), outcomes.spread(*path)
    if mean is None:
        return MISSING if len(outcomes) else "–"
    count = len(outcomes.numbers(*path))
    of = f"{count} of {len(outcomes)}" if count < len(outcomes) else str(count)
    several = f" ({of})" if len(outcomes) > 1 else ""
    return f"{mean:.4f}{'' if spread is None else f' ± {spread:.4f}'}{several}"


def from_files(outcomes: Outcomes) -> str:
    """Return the accuracy re-emulated from exported files; free phases fit no device and have none."""
    found = ours(outcomes, "deployed", "accuracy")
    return "no device" if found == MISSING and outcomes.results else found


def files_agree(outcomes: Outcomes) -> str:
    """Return whether exported files, re-emulated, have the accuracies that a line of a table gives."""
    pairs = [
        (deployed, result["summary"]["test_accuracy"])
        for result in outcomes.results
        if (deployed := result["deployed"]["accuracy"]) is not None
    ]
    if not pairs:
        return "no device" if outcomes.results else MISSING
    apart = max(abs(deployed - emulated) for deployed, emulated in pairs)
    return f"equal ({len(pairs)})" if apart < _ROUNDING else f"up to {100 * apart:.2f} points apart ({len(pairs)})"


def claim(told: str, unit: str = "") -> Callable[[Callable[[Outcomes], Numbers]], Callable[[Outcomes], str]]:
    """Return a decorator that puts a claim of the paper before the numbers here that speak for it or against it."""

    def decorate(numbers: Callable[[Outcomes], Numbers]) -> Callable[[Outcomes], str]:
        def conclusion(outcomes: Outcomes) -> str:
            found = numbers(outcomes)
            here = "; ".join(f"{name} {MISSING if value is None else f'{value:.4g}{unit}'}" for name, value in found)
            return f"\nThe paper: {told}. Here: {here}.\n"

        return conclusion

    return decorate


def paper(number: float | None) -> str:
    """Return the paper's number; a dash where it gives none."""
    return "–" if number is None else f"{number:.4f}".rstrip("0")


def difference(outcomes: Outcomes, number: float | None, *path: str) -> str:
    """Return our number less the paper's, in points."""
    mean = outcomes.mean(*path)
    return "–" if mean is None or number is None else f"{100 * (mean - number):+.2f}"


TEST = ("summary", "test_accuracy")
TRAIN = ("summary", "train_accuracy")
