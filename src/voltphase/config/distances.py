"""What is between planes, as a configuration has it: distances, and elements in the order light meets them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, MinLen, Unit
from pydantic import AfterValidator, BeforeValidator, Discriminator, Tag

from voltphase.core.units import LONGEST_DISTANCE
from voltphase.optics.elements import ELEMENTS
from voltphase.optics.paths import Span
from voltphase.settings.fields import Choice, Settings, Wording, misfit

#: A distance between planes in metres.
Distance = Annotated[float, Unit("m"), Gt(0), Le(LONGEST_DISTANCE)]
_ELEMENT = Choice(ELEMENTS, "lens", Settings)


def _one_or_parts(value: Any) -> str:
    return "parts" if isinstance(value, list | tuple) else "element" if isinstance(value, dict | Settings) else "one"


def _with_elements_between(parts: list[Any]) -> list[Any]:
    for one, other in pairwise(parts):
        if not isinstance(one, Settings) and not isinstance(other, Settings):
            raise misfit(
                f"expected an element between two distances, but got {one:g} and {other:g}: add them up", named=False
            )
    return parts


def _no_element_alone(gaps: Any) -> Any:
    for number, part in enumerate(gaps if isinstance(gaps, list | tuple) else ()):
        if isinstance(part, dict | Settings):
            raise misfit(
                f"expected a number, or a list of distances and elements, for each gap, but item {number} is an "
                "element by itself: a gap with an element in it is a list in the list, such as [[0.1, {name: lens, "
                "focal_length: 0.1}, 0.1], 0.2]",
                named=False,
            )
    return gaps


#: A number, or what is between two planes: numbers and elements.
BetweenPlanes = Annotated[
    Annotated[Distance, Tag("one")]
    | Annotated[
        list[
            Annotated[
                Annotated[float, Unit("m"), Ge(0), Le(LONGEST_DISTANCE), Tag("one")]
                | Annotated[Settings, _ELEMENT, Tag("element")],
                Discriminator(_one_or_parts),
            ]
        ],
        MinLen(1),
        AfterValidator(_with_elements_between),
        Tag("parts"),
    ],
    Discriminator(_one_or_parts),
]
#: What is between planes, for each gap.
EachGap = Annotated[list[BetweenPlanes], BeforeValidator(_no_element_alone)]
#: Either for each gap, or a number for all.
Distances = Annotated[
    Annotated[Distance, Tag("one")] | Annotated[EachGap, Tag("parts")],
    Discriminator(_one_or_parts),
    Wording(
        f"a length in metres above 0 and at most {LONGEST_DISTANCE:g}, or a list of them, or of lists of lengths and "
        "elements"
    ),
]


def built(span: Any) -> Span:
    """Return what the settings of what is between two planes describe."""
    return (
        tuple(part.build() if isinstance(part, Settings) else part for part in span) if isinstance(span, list) else span
    )
