"""From a network that was made in Python to the configuration that describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from voltphase.codesign.relaxations import RELAXATIONS
from voltphase.config.load import parse_config
from voltphase.config.sections import Config
from voltphase.core.errors import ConfigError
from voltphase.core.registry import AUTO, Registry
from voltphase.optics.elements import ELEMENTS, MaskFile
from voltphase.optics.grid import Grid
from voltphase.optics.methods import METHODS
from voltphase.optics.paths import Placed, Steps
from voltphase.tasks import TASKS

if TYPE_CHECKING:
    from voltphase.network.donn import DONN

_CURE: Final = "deploy the network itself with voltphase.deploy"


def config_of(
    model: DONN,
    devices: Sequence[dict[str, Any]],
    data: dict[str, Any],
    mask: str | None = None,
    masks: Sequence[str] = (),
) -> Config:
    """Return the configuration that describes a network; what it says of training stands at its defaults.

    Args:
        model: Network.
        devices: Section for the device of each layer.
        data: Section for the images.
        mask: File of the mask in front of the source, if there is one.
        masks: Files of the masks between the planes, in the order light meets them.

    Raises:
        ConfigError: if a configuration cannot describe the network.
    """
    grids, files = model.way, iter(masks)
    if any(any(grid.offset) for grid in grids):
        raise undescribed("planes around the axis", "others")
    light, dtype, options = model.source.light, model.source.dtype, model.options
    distances, detectors = _distances(model, files)
    spectrum = model.spectrum
    precision = "double" if dtype == torch.complex128 else "tf32" if options.tf32 else "single"
    method = model.method if isinstance(model.method, str) else METHODS.name_of(type(model.method))
    if method is None or (method != AUTO and not isinstance(model.method, str) and METHODS[method]() != model.method):
        raise undescribed("a method of propagation as its name makes it", repr(model.method))
    relaxations = {layer.relaxation for layer in model.layers}
    if len(relaxations) > 1:
        raise undescribed("one relaxation for all layers", f"{len(relaxations)}")
    return parse_config(
        {
            "seed": model.seed,
            "data": data,
            "optics": {
                "size": _one_or_each([_one_or_pair(grid.shape) for grid in grids]),
                "pitch": _one_or_each([_one_or_pair(grid.pitch) for grid in grids]),
                "wavelength": _one_or_each(spectrum.wavelengths),
                "spectrum": {
                    "weights": None if spectrum.even else list(spectrum.weights or ()),
                    "bandwidth": spectrum.bandwidth,
                    "lines": spectrum.lines,
                },
                "coherence": {} if model.coherence is None else asdict(model.coherence),
                "distances": _one_or_each(distances),
                "depth": len(model.layers) // model.networks.count,
                "networks": asdict(model.networks),
                "detectors": detectors,
                "skips": [asdict(skip) for skip in model.skips],
                "source": {**asdict(replace(light, mask=None)), "centre": list(light.centre), "mask": mask},
                "background_light": model.background_light,
                "method": method,
                "backend": model.asked_backend,
                "engine": options.engine,
                "precision": precision,
            },
            "devices": list(devices),
            "codesign": {
                "relaxation": _chosen(RELAXATIONS, relaxations.pop()),
                "gain": _one_or_each([layer.gain for layer in model.layers]),
                "amplitude_grad_scale": _one_or_each([layer.amplitude_grad_scale for layer in model.layers]),
            },
            "task": _chosen(TASKS, model.task),
        }
    )


def _distances(model: DONN, files: Iterator[str]) -> tuple[list[Any], dict[str, Any]]:
    """Return what is between the planes, and the section for several detectors; the files are those of masks."""
    layout, depth = model.layout, len(model.way) - 2
    starts = [*model.way[:depth], *[model.way[depth]] * len(layout.ends)]
    spans = [_span(*each, files) for each in zip(starts, layout.every_span, strict=True)]
    if (several := layout.detectors) is None:
        return spans, {}
    shares = None if several.shares is None else list(several.shares)
    return spans[:depth], {"distances": spans[depth:], "combine": several.combine, "shares": shares}


def _span(plane: Grid, steps: Steps, files: Iterator[str]) -> Any:
    """Return what is between two planes, the first of which is given, as are the files of masks."""
    parts: list[Any] = []
    for step in steps:
        if isinstance(step, Placed):
            if ELEMENTS.name_of(type(step.optic)) is None or step.optic.plane(plane) != step.plane:
                raise undescribed("lenses, apertures and relays around the axis between the planes", "others")
            optic = replace(step.optic, file=next(files)) if isinstance(step.optic, MaskFile) else step.optic
            parts.append(_chosen(ELEMENTS, optic))
            plane = step.image
        else:
            parts.append(step)
    return parts if len(parts) > 1 else parts[0]


def _chosen(registry: Registry[Any], entry: object) -> dict[str, Any]:
    name = registry.name_of(type(entry))
    if name is None or not is_dataclass(entry) or isinstance(entry, type):
        raise undescribed(f"{registry.what} out of {', '.join(registry)}", repr(entry))
    return {"name": name, **{key: _plain(value) for key, value in asdict(entry).items()}}


def _plain(value: Any) -> Any:
    """Return a setting as YAML has it: lists for tuples, pairs for complex numbers, texts for paths."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, complex):
        return [value.real, value.imag]
    return str(value) if isinstance(value, Path) else value


def _one_or_each(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else list(values)


def _one_or_pair(pair: tuple[Any, Any]) -> Any:
    return pair[0] if pair[0] == pair[1] else list(pair)


def undescribed(wanted: str, got: str, cure: str = _CURE) -> ConfigError:
    """Return the error for a network that a configuration cannot describe."""
    return ConfigError(f"expected a network that a configuration can describe, with {wanted}, but got {got}: {cure}")
