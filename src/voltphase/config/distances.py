"""What is between planes, as a configuration has it: distances, and elements in the order light meets them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, MinLen, Unit
from pydantic import AfterValidator, Discriminator, Tag

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
#: Either for each gap, or a number for all.
Distances = Annotated[
    Annotated[Distance, Tag("one")] | Annotated[list[BetweenPlanes], Tag("parts")],
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
