"""Settings made from the signatures of what is registered, as any package registers it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt
from pydantic import ValidationError

from voltphase.codesign import RELAXATIONS, SCHEDULES, Softmax
from voltphase.config import load_config
from voltphase.core.errors import ConfigError
from voltphase.core.registry import PluginWarning, Registry
from voltphase.data import DATASETS
from voltphase.devices import MODELS, DeviceStates, dmd
from voltphase.settings.fields import Choice, Name, OneOrEach, Parameters, Section, Settings, misfit
from voltphase.settings.keys import in_words, keys
from voltphase.settings.messages import describe
from voltphase.sweeps.runs import identity
from voltphase.tasks import TASKS, Classification

SHAPES: Registry[Any] = Registry("a shape", "voltphase.tests.shapes")


@SHAPES.register("square")
@dataclass(frozen=True)
class Square:
    """A square.

    Args:
        side: Length of a side, in metres,
            which may be any.
        corners: Whether it has sharp corners.
    """

    side: Annotated[float, Gt(0)] = 1.0
    corners: Literal["sharp", "round"] = "sharp"


@SHAPES.register("polygon")
class Polygon:
    """A polygon.

    Args:
        sides: Length of each side.
        centre: Where it is.
        index: What it is made of.
        file: Where its picture is.
    """

    def __init__(
        self,
        sides: Sequence[Annotated[float, Gt(0)]],
        centre: tuple[float, float] = (0.0, 0.0),
        index: complex = 1.5,
        file: Path | None = None,
    ) -> None:
        if len(sides) < 3:
            raise ConfigError(f"expected three sides or more, but got {len(sides)}")
        self.sides, self.centre = sides, centre


class ShapeConfig(Settings):
    """What all shapes have.

    Attributes:
        colour: Colour of the shape.
    """

    colour: str = "red"


SHAPE = Choice(SHAPES, "square", ShapeConfig)


class Drawing(Section):
    """A drawing of one shape."""

    shape: Annotated[ShapeConfig, SHAPE] = SHAPE.make({})
    width: OneOrEach[Annotated[int, Ge(1)]] = 1


def problem(**given: object) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate(given)
    return describe(caught.value, Drawing, given)


def test_the_defaults_are_the_constructors():
    drawing = Drawing()
    assert drawing.model_dump() == {
        "shape": {"name": "square", "colour": "red", "side": 1.0, "corners": "sharp"},
        "width": 1,
    }
    assert drawing.shape.build() == Square()
    assert drawing.model_dump(exclude_defaults=True) == {}


def test_a_name_that_is_not_given_is_the_default_and_others_are_kept():
    drawing = Drawing.model_validate({"shape": {"side": 2}})
    assert drawing.shape.build() == Square(2.0)
    assert drawing.model_dump(exclude_defaults=True) == {"shape": {"side": 2.0}}
    other = Drawing.model_validate({"shape": {"name": "polygon", "sides": [1, 2, 3], "centre": [1, 2]}})
    assert other.model_dump(exclude_defaults=True)["shape"]["name"] == "polygon"
    assert (other.shape.build().sides, other.shape.build().centre) == ([1, 2, 3], [1, 2])
    assert pickle.loads(pickle.dumps(other)) == other  # noqa: S301 - our own, as other processes get it


@pytest.mark.parametrize(
    ("shape", "words", "path"),
    [
        ({"side": 0}, ("above 0", "got 0"), "shape.side"),
        ({"corners": "rund"}, ("sharp or round", "did you mean round?"), "shape.corners"),
        ({"name": "squire"}, ("square or polygon", "did you mean square?"), "shape.name"),
        ({"sides": [1]}, ("shape.sides is of polygon, not of square",), "shape.sides"),
        ({"sied": 1}, ("unknown key shape.sied", "did you mean shape.side?"), "shape.sied"),
        ({"name": "polygon"}, ("shape.sides", "it is missing"), "shape"),
        ({"name": "polygon", "sides": [1, 2]}, ("shape: expected three sides or more, but got 2",), "shape"),
        ({"name": "polygon", "sides": [1, 2, -3]}, ("list of numbers above 0", "item 2 is -3"), "shape.sides.2"),
        ({"name": "polygon", "sides": [1, 2, 3], "centre": [1]}, ("list of 2 numbers", "got [1]"), "shape.centre"),
        ({"name": "polygon", "sides": [1, 2, 3], "index": "x"}, ("a number, or a list of 2 of them",), "shape.index"),
        ("square", ("expected shape to be a group of keys", "got 'square'"), "shape"),
    ],
)
def test_what_does_not_fit_is_named_by_its_own_type(shape: object, words: tuple[str, ...], path: str):
    sentence, found = problem(shape=shape)
    assert all(word in sentence for word in words), sentence
    assert found == path


def test_one_or_each():
    assert Drawing.model_validate({"width": [1, 2]}).width == [1, 2]
    assert problem(width=[1, 0]) == (
        "expected width to be a whole number of at least 1, or a list of them, but item 1 is 0",
        "width.1",
    )


def test_what_is_registered_later_is_known_at_once():
    @SHAPES.register("point")
    class Point:
        """A point."""

        def __init__(self, size: float = 0.0) -> None:
            self.size = size

    assert Drawing.model_validate({"shape": {"name": "point", "size": 3}}).shape.build().size == 3
    assert "shape.size" in {key.path for key in keys(Drawing) if key.of == "point"}


@dataclass(frozen=True)
class Colder(Softmax):
    """A softmax whose type hints this module does not know.

    Args:
        factor: How much colder it is.
    """

    factor: Annotated[float, Gt(0)] = 2.0


def test_a_dataclass_may_come_from_one_in_another_module():
    relaxations: Registry[Any] = Registry("a relaxation", "voltphase.tests.relaxations")
    relaxations.register("colder")(Colder)
    assert Choice(relaxations, "colder", Settings).make({"factor": 3, "mix": "polar"}).build() == Colder(
        mix="polar", factor=3.0
    )


def test_what_has_parameters_that_are_no_settings_is_left_out():
    shapes: Registry[Any] = Registry("a shape", "voltphase.tests.others")
    shapes.register("square")(Square)
    shapes.register("blob")(lambda points: points)
    with pytest.warns(PluginWarning, match=r"blob.* is left out.* type hint for the parameter points"):
        assert list(Choice(shapes, "square", Settings).models) == ["square"]


def stretched(*, factor: float = 1.0, **more: float) -> Square:
    return Square(factor)


def shifted(factor: float = 1.0, /) -> Square:
    return Square(factor)


def test_parameters_without_names_are_no_settings_and_whoever_asks_is_told():
    shapes: Registry[Any] = Registry("a shape", "voltphase.tests.others")
    for name, entry in {"square": Square, "stretched": stretched, "shifted": shifted}.items():
        shapes.register(name)(entry)
    choice, parameters = Choice(shapes, "square", Settings), Parameters(shapes, "square")
    with pytest.warns(PluginWarning, match="stretched"):
        assert list(choice.models) == ["square"]

    class Sketch(Section):
        shape: Annotated[Settings, choice] = choice.make({})
        model: Annotated[str, Name(parameters)] = "square"

    for given in ({"shape": {"name": "stretched"}}, {"shape": {"name": "shifted"}}, {"model": "shifted"}):
        with pytest.raises(ValidationError) as caught:
            Sketch.model_validate(given)
        (key,) = given
        sentence, _ = describe(caught.value, Sketch, given)
        assert sentence.startswith(key)
        assert "given by their names, but" in sentence
    assert list(choice.models) == list(parameters.models) == list(shapes) == ["square"]
    assert parameters.checked("shifted", {"factor": 2}) == {"factor": 2}


def explode(size: float = 1.0) -> Square:
    if size > 5:
        raise ValueError("size too large")
    return Square(1 / size)


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("explode", 6.0, "shape: size too large"),
        ("explode", 0.0, "shape: 'explode' cannot be made: ZeroDivisionError"),
        ("vanish", 0.0, "shape: 'vanish' makes None"),
    ],
)
def test_what_an_entry_raises_is_said(name: str, size: float, says: str):
    shapes: Registry[Any] = Registry("a shape", "voltphase.tests.others")
    shapes.register("explode")(explode)

    @shapes.register("vanish")
    def vanish(size: float = 1.0) -> None: ...

    class Sketch(Section):
        shape: Annotated[Settings, Choice(shapes, "explode", Settings)]

    given = {"shape": {"name": name, "size": size}}
    with pytest.raises(ValidationError) as caught:
        Sketch.model_validate(given)
    assert describe(caught.value, Sketch, given)[0].startswith(says)


def test_a_parameter_that_is_missing_has_its_whole_name():
    @MODELS.register("stroke")
    def stroke(stroke: float, levels: int = 4) -> DeviceStates:
        return dmd()

    try:
        with pytest.raises(ConfigError, match=r"expected device\.parameters\.stroke to be a number, but it is missing"):
            load_config("digits", ["device.model=stroke"])
    finally:
        MODELS._entries.pop("stroke")


def test_every_registered_setting_is_explained_and_can_be_said_in_words():
    for choice in (Choice(one, "", Settings) for one in (RELAXATIONS, SCHEDULES, DATASETS, TASKS)):
        for name, model in choice.models.items():
            for key, field in model.model_fields.items():
                assert key == "name" or field.description, f"{name} says nothing of {key}"
                assert in_words(field.annotation, field.metadata)


def test_misfits_name_themselves_or_are_named():
    assert str(misfit("expected a, but got b")) == "expected a, but got b"


def test_parameters_of_a_model_are_checked_when_they_are_read():
    known = load_config("digits", ["device.model=printed", "device.parameters.index=[1.6, 0.01]"])
    assert known.layer_devices[0].parameters == {"index": [1.6, 0.01]}
    for override, words in (
        ("device.parameters.indx=1.6", "did you mean device.parameters.index?"),
        ("device.parameters.twist=1", "device.parameters.twist is of tn-slm, not of printed"),
        ("device.parameters.surroundings=none", "expected device.parameters.surroundings to be a number"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config("digits", ["device.model=printed", override])
        assert words in str(caught.value)


def test_what_is_left_open_is_kept_as_it_is_settled_and_changes_no_digest():
    with_pairs, without = load_config("digits"), load_config("digits", ["task.regions=[[0,0,2,2],[4,4,2,2]]"])
    assert (with_pairs.task.differential, without.task.differential) == (True, False)
    assert "differential: true" in with_pairs.to_yaml()
    for overrides, config in (([], with_pairs), (["task.regions=[[0,0,2,2],[4,4,2,2]]"], without)):
        said = load_config("digits", [*overrides, f"task.differential={json.dumps(config.task.differential)}"])
        changed = load_config("digits", [*overrides, f"task.differential={json.dumps(not config.task.differential)}"])
        assert identity(said, []) == identity(config, []) != identity(changed, [])
    assert Classification().differential is True
    assert "task" not in load_config("digits").model_dump(exclude_defaults=True)
