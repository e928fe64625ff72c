"""Skip connections: light that beam splitters lead past modulated planes, and join with the light through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.core.units import LONGEST_DISTANCE
from voltphase.optics.kernels.axis import Shape
from voltphase.optics.kernels.kernel import Kernel, Separable
from voltphase.optics.stack import Stack


@dataclass(frozen=True)
class Skip:
    """A way past layers, from a beam splitter behind one plane to another in front of a later one.

    Both splitters are alike and lose nothing: of a field they let ``sqrt(1 - share)`` through and reflect ``i
    sqrt(share)`` times it. What is reflected by the first goes past the layers and is reflected by the second, where it
    interferes with what comes through: from u before the layers, P u past them and L u through them the field is ``(1 -
    share) L u - share P u``. The second splitter's other port is not used: the light that leaves by it is lost.

    Planes are counted from the source, which is 0; layer n is plane n, and the detector comes last.

    Args:
        start: Plane behind which the first splitter stands.
        end: Plane in front of which the second stands.
        share: Part of the power that each splitter reflects.
        distance: Length of the way past in metres; that of the way through if None.

    Raises:
        ConfigError: if there is no layer between the planes, or a number is out of its range.

    Examples:
        >>> Skip(0, 2, share=0.36).through
        0.8
    """

    start: int
    end: int
    share: float = 0.5
    distance: float | None = None

    def __post_init__(self) -> None:
        start = checks.whole(self.start, "the plane that a skip starts behind", least=0)
        end = checks.whole(self.end, "the plane that a skip ends in front of", least=0)
        if end <= start:
            raise ConfigError(
                f"expected a skip to end in front of a later plane than it starts behind, but got start {start} and "
                f"end {end}: light does not go in a loop"
            )
        if end == start + 1:
            raise ConfigError(
                f"expected a skip past a layer at least, but there is none between the planes {start} and {end}: set "
                f"end to {start + 2} or more"
            )
        checks.number(self.share, "the share of light of a skip", above=0, most=1)
        if self.share == 1:
            raise ConfigError("expected a share of light of a skip below 1, but got 1: layers would get no light")
        if self.distance is not None:
            checks.number(self.distance, "the distance of a skip in metres", above=0, most=LONGEST_DISTANCE)

    @property
    def through(self) -> float:
        """Factor of a field that a splitter lets through."""
        return math.sqrt(1 - self.share)

    @property
    def reflected(self) -> complex:
        """Factor of a field that a splitter reflects."""
        return 1j * math.sqrt(self.share)


class Splitters:
    """The beam splitters that light meets on one walk through planes.

    Args:
        skips: The skips.
        past: What takes light along each of them.
    """

    def __init__(self, skips: Sequence[Skip], past: Sequence[Callable[[Tensor], Tensor]]) -> None:
        self._skips = list(zip(skips, past, strict=True))
        self._under_way: dict[int, Tensor] = {}

    def behind(self, plane: int, field: Tensor) -> Tensor:
        """Return what goes on to the next plane of a field that leaves one."""
        for number, (skip, cross) in enumerate(self._skips):
            if skip.start == plane:
                self._under_way[number] = skip.reflected * cross(field)
                field = skip.through * field
        return field

    def before(self, plane: int, field: Tensor) -> Tensor:
        """Return what arrives on a plane, of what comes from the one before it and of the light that skipped that."""
        for number, (skip, _) in enumerate(self._skips):
            if skip.end == plane:
                field = skip.through * field + skip.reflected * self._under_way.pop(number)
        return field


@dataclass(frozen=True, eq=False)
class BranchedStack:
    """A stack with ways past some of its planes.

    Args:
        stack: Kernels between the planes.
        skips: Ways past them.
        past: Kernels of each of these ways, as those of a gap.

    Raises:
        GeometryError: if a skip ends behind the detector.
    """

    stack: Stack
    skips: tuple[Skip, ...]
    past: tuple[tuple[Kernel, ...], ...]

    @property
    def source_shape(self) -> Shape:
        """(rows, columns) of the images or fields that light starts from."""
        return self.stack.source_shape

    @property
    def shapes(self) -> list[Shape]:
        """(rows, columns) of each plane that light arrives on."""
        return self.stack.shapes

    @property
    def gaps(self) -> tuple[tuple[Kernel, ...], ...]:
        """Kernels of all gaps, those past planes last."""
        return (*self.stack.gaps, *self.past)

    def behind(self, kernel: Kernel) -> BranchedStack:
        """Return the stack with a kernel before all that leaves the source; see :meth:`Stack.behind`."""
        past = tuple(
            tuple(kernel.then(one) for one in kernels) if skip.start == 0 else kernels
            for skip, kernels in zip(self.skips, self.past, strict=True)
        )
        return replace(self, stack=self.stack.behind(kernel), past=past)

    def onto(self, rows: Sequence[int], columns: Sequence[int]) -> BranchedStack:
        """Return the stack whose detector is some rows and columns of what it was; see :meth:`Stack.onto`."""
        window = Separable.select(rows, columns, self.shapes[-1])
        past = tuple(
            tuple(one.then(window) for one in kernels) if skip.end == len(self.stack.gaps) else kernels
            for skip, kernels in zip(self.skips, self.past, strict=True)
        )
        return replace(self, stack=self.stack.onto(rows, columns), past=past)


def branched(stack: Stack, skips: Sequence[Skip], past: Sequence[tuple[Kernel, ...]]) -> Stack | BranchedStack:
    """Return a stack with ways past its planes, or itself if there are none."""
    return BranchedStack(stack, tuple(skips), tuple(past)) if skips else stack


def checked_skips(skips: Sequence[Skip], depth: int, detectors: int = 1) -> tuple[Skip, ...]:
    """Return skips past some of as many layers, behind which as many detectors share the light.

    Raises:
        ConfigError: if they are none.
        GeometryError: if one ends behind the detector, or at one of several.
    """
    advice = "use voltphase.Skip(start, end)"
    given = checks.items(skips, "a list of skips", advice=advice)
    for skip in given:
        checks.instance(skip, Skip, "each of the skips", advice=advice)
        if skip.end > depth + 1:
            raise GeometryError(
                f"expected a skip to end at plane {depth + 1} at most, the detector behind {depth} layers, but got "
                f"{skip.end}"
            )
        if detectors > 1 and skip.end == depth + 1:
            raise GeometryError(
                f"expected a skip to end at plane {depth} at most, the last layer, behind which {detectors} detectors "
                f"share the light, but got {skip.end}"
            )
    return tuple(given)
