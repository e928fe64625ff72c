"""The system that light walks through: the kernels between its planes, as data, and the one loop over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from torch import Tensor

from voltphase.core import checks
from voltphase.core.display.card import card
from voltphase.core.display.pictures import planes_picture
from voltphase.core.errors import GeometryError
from voltphase.optics.kernels.axis import Shape
from voltphase.optics.kernels.kernel import Kernel, Separable


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes, of which all but the first and the last are modulated, and the kernels between them.

    Args:
        gaps: For each gap, from the first plane to the detector, kernels that do the same by different means: a back
            end takes the one it applies at the least cost. Gaps that are alike share their kernels.

    Raises:
        GeometryError: if a gap does not start from the plane that the one before it leads to.

    Examples:
        >>> same = Separable.select(range(4), range(4), (4, 4))
        >>> Stack(((same,), (same,))).shapes
        [(4, 4), (4, 4)]
    """

    gaps: tuple[tuple[Kernel, ...], ...]

    def __post_init__(self) -> None:
        advice = "use voltphase.optics.kernels.Separable or another kernel"
        for gap in checks.items(self.gaps, "gaps, each a tuple of kernels", error=GeometryError, advice=advice):
            for kernel in checks.items(gap, "a gap as a tuple of kernels", error=GeometryError, advice=advice):
                checks.instance(kernel, Kernel, "a kernel in each gap", error=GeometryError, advice=advice)
        if len(self.gaps) < 2 or not all(self.gaps):
            raise GeometryError("expected at least two gaps with a kernel each, before and behind a modulated plane")
        for number, (gap, following) in enumerate(pairwise(self.gaps), start=1):
            arrives, starts = gap[0].target_shape, following[0].source_shape
            if arrives != starts:
                raise GeometryError(
                    f"expected gap {number + 1} to start from the plane that gap {number} leads to, "
                    f"{arrives[0]} x {arrives[1]}, but it starts from {starts[0]} x {starts[1]}"
                )

    def __repr__(self) -> str:
        planes = " -> ".join(f"{rows} x {columns}" for rows, columns in (self.source_shape, *self.shapes))
        return f"Stack({len(self.gaps)} gaps: {planes})"

    def _repr_html_(self) -> str:
        shapes = [self.source_shape, *self.shapes]
        kinds = {f"gap {n}": ", ".join(type(kernel).__name__ for kernel in gap) for n, gap in enumerate(self.gaps, 1)}
        return card(repr(self), kinds, [planes_picture([(float(rows), float(columns)) for rows, columns in shapes])])

    @property
    def source_shape(self) -> Shape:
        """(rows, columns) of the images or fields that light starts from."""
        return self.gaps[0][0].source_shape

    @property
    def shapes(self) -> list[Shape]:
        """(rows, columns) of each plane that light arrives on: the modulated ones, and the detector."""
        return [gap[0].target_shape for gap in self.gaps]

    def behind(self, kernel: Kernel) -> Stack:
        """Return the stack with a kernel before its first gap, such as the interpolation of images, joined to it."""
        return replace(self, gaps=(tuple(kernel.then(first) for first in self.gaps[0]), *self.gaps[1:]))

    def onto(self, rows: Sequence[int], columns: Sequence[int]) -> Stack:
        """Return the stack whose detector is some rows and columns of what it was, joined to its last gap."""
        shape = self.shapes[-1]
        if (list(rows), list(columns)) == tuple(list(range(n)) for n in shape):
            return self
        window = Separable.select(rows, columns, shape)
        return replace(self, gaps=(*self.gaps[:-1], tuple(last.then(window) for last in self.gaps[-1])))


def walk(
    propagate: Sequence[Callable[[Tensor], Tensor]], field: Tensor, modulations: Sequence[Tensor]
) -> Iterator[Tensor]:
    """Take light through a stack: propagate, modulate, and so on; yield the field that arrives on each plane.

    The fields are ``batch x rows x columns``, and before each modulation; the last one is on the detector.
    """
    for cross, modulation in zip(propagate, modulations, strict=False):
        arrived = cross(field)
        yield arrived
        field = modulation * arrived
    yield propagate[-1](field)
