"""A deployed folder computed with numpy alone: no voltphase, no torch, only what manifest.json and README.txt say.

    python examples/emulate.py bench

rebuilds the system from the files, sends the test inputs that travel in the folder through it and compares what the
detector reads. `Emulator(folder).logits(images)` answers other images. Arithmetic is in double precision; voltphase's
own is in single by default, so that readings differ by about 1e-6 of the light on the detector. It takes the level maps
and trusts the files; `voltphase verify` checks them too, and that what is loaded on the devices holds the same levels.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Nodes of the quadrature of an oscillating integral over one or two turns of its phase: exact to rounding.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


class Emulator:
    """The system of a deployed folder.

    Args:
        folder: Folder that `voltphase deploy` wrote.
        phase_sign: Sign of a state's phase: +1 is the files' convention, and -1 is there to see that it matters.
    """

    def __init__(self, folder: str | Path, phase_sign: int = 1) -> None:
        self.folder = Path(folder)
        self.manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        if self.manifest["format_version"] not in (1, 2, 3, 4):
            raise ValueError(f"expected format version 1 to 4, but got {self.manifest['format_version']!r}")
        layers, readout = self.manifest["layers"], self.manifest["readout"]
        alone = {"layers": range(1, len(layers) + 1), "weight": 1.0, "area": 0}
        self.beams = self.manifest.get("beams", [alone])
        # Detectors that share the light behind the last layer, each at the end of a way of its own.
        self.detectors = self.manifest.get("detectors", [{"share": 1.0, "area": 0}])
        self.areas = 1 + max(beam["area"] + one["area"] for beam in self.beams for one in self.detectors)
        rows, columns = readout["grid"]["shape"]
        part = readout["grid"] | {"shape": [rows, columns // self.areas]}
        passed = [layers[number - 1]["grid"] for number in self.beams[0]["layers"]]
        grids = [self.manifest["input"]["grid"], *passed, part]
        self.mask = self._source_mask()
        self.states = [self._layer_states(layer, phase_sign) for layer in layers]
        propagation = self.manifest["propagation"]
        distances = propagation["distances_m"]
        if "methods" in propagation:
            methods = propagation["methods"]
        else:  # version 1 has one for all
            methods = [{"name": propagation["method"], "parameters": {}}] * len(distances)
        self.skips = self.manifest.get("skips", [])  # beam splitters that lead light past some planes
        wave = {"wavelength_m": self.manifest["wavelength_m"], "weight": 1.0, "states_of": 0, "methods": methods}
        wave["past"] = [skip["method"] for skip in self.skips]
        self.light = self.manifest.get("light", {"lines": [wave], "channels": "sum"})
        self.past = [self._past(grids, line.get("past", []), line["wavelength_m"]) for line in self.light["lines"]]
        self.gaps = [
            self._between(grids, list(zip(line["methods"], distances, strict=True)), line["wavelength_m"])
            for line in self.light["lines"]
        ]
        self.screens = screens(self.light.get("coherence"), grids[0])

    def detector_field(self, image: Array) -> Array:
        """The complex field on the detector, `rows x columns`, of one image (bytes, or numbers from 0 to 1).

        Of several beams, which do not interfere, it is the root of their intensities' sum; with a first axis of
        wavelengths where the detector tells them apart.
        """
        values = image / 255 if image.dtype == np.uint8 else image
        rows, columns = self.manifest["input"]["grid"]["shape"]
        down, across = interpolation(values.shape[0], rows), interpolation(values.shape[1], columns)
        source = self.mask * source_field(self.manifest["input"], down @ values @ across.T)
        if len(self.beams) == len(self.detectors) == len(self.light["lines"]) == len(self.screens) == 1:
            return self._through(source, self.beams[0], 0)[0]
        found = np.zeros((2, *self.manifest["readout"]["grid"]["shape"]))
        for number, line in enumerate(self.light["lines"]):
            channel = line["states_of"] if self.light["channels"] == "wavelengths" else 0
            for screen in self.screens:
                light: list[Any] = [0.0] * self.areas
                for beam in self.beams:
                    for one, field in zip(self.detectors, self._through(screen * source, beam, number), strict=True):
                        area = beam["area"] + one["area"]
                        light[area] = light[area] + beam["weight"] * one["share"] * np.abs(field) ** 2
                found[channel] += line["weight"] / len(self.screens) * np.hstack(light)
        return np.sqrt(found if self.light["channels"] == "wavelengths" else found[0])

    def _through(self, field: Array, beam: dict[str, Any], line: int) -> list[Array]:
        """The field on each detector of light of one line along a beam, from that on the source."""
        layers, which = beam["layers"], self.light["lines"][line]["states_of"]
        gaps, ends = self.gaps[line][: len(layers)], self.gaps[line][len(layers) :]
        field, past = self._behind(0, field, {}, line)
        for plane, (number, gap) in enumerate(zip(layers, gaps, strict=True), start=1):
            behind = self.states[number - 1][which] * self._before(plane, gap(field), past)
            field, past = self._behind(plane, behind, past, line)
        return [self._before(len(layers) + 1, end(field), past) for end in ends]

    def _behind(self, plane: int, field: Array, past: dict[int, Array], line: int) -> tuple[Array, dict[int, Array]]:
        """What goes on behind a plane, and what its splitters send past the next ones."""
        for number, (skip, way) in enumerate(zip(self.skips, self.past[line], strict=True)):
            if skip["start"] == plane:
                past = past | {number: 1j * math.sqrt(skip["share"]) * way(field)}
                field = math.sqrt(1 - skip["share"]) * field
        return field, past

    def _before(self, plane: int, field: Array, past: dict[int, Array]) -> Array:
        """What arrives on a plane, with what its splitters add."""
        for number, skip in enumerate(self.skips):
            if skip["end"] == plane:
                field = math.sqrt(1 - skip["share"]) * field + 1j * math.sqrt(skip["share"]) * past[number]
        return field

    def readings(self, images: Array) -> Array:
        """What the detector reads, `images x regions`."""
        return np.array([self._read(self.detector_field(image)) for image in images])

    def logits(self, images: Array) -> Array:
        """Logits, `images x classes`; the highest names the class."""
        return self.logits_of(self.readings(images))

    def logits_of(self, readings: Array) -> Array:
        """Logits, `images x classes`, that follow from readings, `images x regions`."""
        readout = self.manifest["readout"]
        if readout["differential"]:
            speaks_for, against = readings[:, 0::2], readings[:, 1::2]
            total = speaks_for + against
            readings = (speaks_for - against) / np.where(total > 0, total, 1)
        return readout["scale"] * readout["digital_factor"] * readings

    def answers_of(self, logits: Array) -> Array | None:
        """What the task makes of logits: a class, bits or numbers of each image; None of a task not known here."""
        task = self.manifest["readout"]["task"]
        name, settings = (task, {}) if isinstance(task, str) else (task["name"], task["settings"])
        if name == "classification":
            return logits.argmax(1)
        if name == "logic":
            return (logits > 0).astype(int)
        if name == "regression":
            low, high = np.array(settings["ranges"] or [(-1.0, 1.0)] * logits.shape[1]).T
            return low + (high - low) / 2 * (logits + 1)
        return None

    def _between(
        self, grids: list[dict[str, Any]], gaps: list[Any], wavelength: float
    ) -> list[Callable[[Array], Array]]:
        """What takes light of a wavelength from each plane to the next, and from the last layer to each detector."""
        steps, sides = iter(gaps), list(pairwise(grids))
        sides += sides[-1:] * (len(self.detectors) - 1)
        return [self._across(plane, *ends, steps, wavelength) for plane, ends in enumerate(sides)]

    def _past(
        self, grids: list[dict[str, Any]], methods: list[Any], wavelength: float
    ) -> list[Callable[[Array], Array]]:
        """What takes light of a wavelength from the first splitter of each skip to its second one."""
        return [
            propagator(method, grids[skip["start"]], grids[skip["end"]], wavelength, skip["distance_m"])
            for skip, method in zip(self.skips, methods, strict=True)
        ]

    def _across(
        self, plane: int, start: dict[str, Any], end: dict[str, Any], steps: Iterator[Any], wavelength: float
    ) -> Callable[[Array], Array]:
        """What takes a field from one plane to the next, through the elements between them."""
        parts, elements = [], self.manifest["propagation"].get("elements", [])
        for one in (one for one in elements if one["behind"] == plane):
            method, distance = next(steps)
            parts.append(propagator(method, start, one["grid"], wavelength, distance))
            through, start = element(one, wavelength, self.folder)
            parts.append(through)
        method, distance = next(steps)
        parts.append(propagator(method, start, end, wavelength, distance))

        def cross(field: Array) -> Array:
            for part in parts:
                field = part(field)
            return field

        return cross

    def _source_mask(self) -> Array:
        if "mask" not in self.manifest["input"]:
            return np.array(1.0)
        parts = self.manifest["input"]["mask"]
        amplitude, phase = (np.load(self.folder / parts[key]["file"]) for key in ("amplitude", "phase"))
        return amplitude * np.exp(1j * phase)

    def _layer_states(self, layer: dict[str, Any], phase_sign: int) -> list[Array]:
        """The state of each pixel, at one wavelength or at each of several."""
        levels = np.load(self.folder / layer["levels"]["file"])
        device = layer.get("device") or layer["panel"]  # a panel's own key in versions 1 and 2
        which = layer.get("regions") or device.get("regions")
        regions = None if which is None else np.load(self.folder / which["file"])
        return [self._states_of(one, levels, regions, phase_sign) for one in device.get("spectrum", [device])]

    def _states_of(self, device: dict[str, Any], levels: Array, regions: Array | None, phase_sign: int) -> Array:
        tables = [table_states(table, phase_sign) for table in device.get("tables", [device])]
        if regions is None:
            return tables[0][levels]
        states = np.full(levels.shape, complex(*device["inactive_value"]))
        for index, table in enumerate(tables):
            states[regions == index] = table[levels[regions == index]]
        return states

    def _read(self, field: Array) -> list[float]:
        readout = self.manifest["readout"]
        if "pixels" in readout:
            return self._picture(field)
        if field.ndim > 2:  # a region is read at each of two wavelengths in turn
            each = [self._parts(one) for one in field]
            return [reading for region in zip(*each, strict=True) for reading in region]
        return self._parts(field)

    def _parts(self, field: Array) -> list[float]:
        readout = self.manifest["readout"]
        light = self._intensity(field)
        light = np.sqrt(light) if readout["measure"] == "amplitude" else light
        parts = [
            light[row : row + height, column : column + width] for row, column, height, width in readout["regions"]
        ]
        if readout["measure"] in ("mean", "amplitude"):
            return [float(part.mean()) for part in parts]
        total = light.sum() if readout["measure"] == "fraction" else 1.0
        return [float(part.sum() / (total or 1.0)) for part in parts]

    def _intensity(self, field: Array) -> Array:
        return np.abs(field) ** 2 + self.manifest["readout"].get("background_light", 0.0)

    def _picture(self, field: Array) -> Any:
        readout = self.manifest["readout"]
        (row, column, height, width), (rows, columns) = readout["regions"][0], readout["pixels"]
        light = self._intensity(field)
        total = float(light.sum()) or 1.0
        window = field[row : row + height, column : column + width]
        if readout["measure"] == "field":
            return np.stack([np.real(window), np.imag(window)], -1) / math.sqrt(total)
        blocks = light[row : row + height, column : column + width].reshape(
            rows, height // rows, columns, width // columns
        )
        picture = blocks.sum((1, 3)) / total
        return np.sqrt(picture) if readout["measure"] == "amplitude" else picture


def screens(coherence: dict[str, Any] | None, source: dict[str, Any]) -> Array:
    """The screens of partly coherent light, `modes x rows x columns`; a single 1 of light that is coherent."""
    if coherence is None:
        return np.ones((1, 1, 1))
    length, kernels = coherence["length_m"], []
    for axis in (0, 1):
        count, pitch = source["shape"][axis], source["pitch_m"][axis]
        at = (np.arange(count) - (count - 1) / 2) * pitch
        most = math.ceil((at[-1] + 4 * length) / (length / 2))
        knots = np.arange(-most, most + 1) * length / 2
        kernels.append(np.eye(count) if pitch > 4 * length else np.exp(-(((at[:, None] - knots) / length) ** 2)))
    shape = (coherence["modes"], kernels[0].shape[1], kernels[1].shape[1])
    words = np.random.PCG64(coherence["seed"]).random_raw(2 * math.prod(shape))
    u, v = (((words >> np.uint64(11)) + 0.5) / 2.0**53).reshape(-1, 2).T
    made = kernels[0] @ (np.sqrt(-np.log(u)) * np.exp(2j * math.pi * v)).reshape(shape) @ kernels[1].T
    return made / np.sqrt((np.abs(made) ** 2).mean(0))


def table_states(table: dict[str, Any], phase_sign: int) -> Array:
    """The complex state of each level of a device table."""
    if "table" in table:  # a row for each level in versions 1 and 2
        amplitude, phase = ([row[key] for row in table["table"]] for key in ("amplitude", "phase_rad"))
    else:
        amplitude, phase = table["amplitude"], table["phase"]
    return np.array(amplitude) * np.exp(1j * phase_sign * np.array(phase))


def source_field(source: dict[str, Any], values: Array) -> Array:
    """The field on the source, of the interpolated values of an image."""
    background, phase_range = source.get("background", 0.0), source.get("phase_range_rad", 0.0)
    field = np.exp(1j * phase_range * values)
    if source["encoding"] != "phase":
        field = field * (background + (1 - background) * values)
    if "waist_m" in source:
        centre = source.get("centre_m", (0.0, 0.0))
        y, x = (coordinates(source["grid"], axis) - centre[axis] for axis in (0, 1))
        field = field * np.exp(-(y[:, None] ** 2 + x**2) / source["waist_m"] ** 2)
    return field


def interpolation(pixels: int, samples: int) -> Array:
    """Bilinear interpolation of one axis with half-pixel centres, a `samples x pixels` matrix."""
    at = np.clip((np.arange(samples) + 0.5) * pixels / samples - 0.5, 0, pixels - 1)
    left = np.floor(at).astype(int)
    matrix = np.zeros((samples, pixels))
    matrix[np.arange(samples), left] = 1 - (at - left)
    matrix[np.arange(samples), np.minimum(left + 1, pixels - 1)] += at - left
    return matrix


def coordinates(grid: dict[str, Any], axis: int) -> Array:
    """Where samples lie along an axis, 0 for y and 1 for x, in metres."""
    n = grid["shape"][axis]
    return (np.arange(n) - (n - 1) / 2) * grid["pitch_m"][axis] + grid["offset_m"][axis]


def element(one: dict[str, Any], wavelength: float, folder: Path) -> tuple[Callable[[Array], Array], dict[str, Any]]:
    """What an element does to a field, and the plane that light goes on from."""
    grid, settings = one["grid"], one["settings"]
    if one["kind"] == "relay":
        return relay(grid, settings, wavelength)
    if one["kind"] == "transmission":
        amplitude, phase = (np.load(folder / one[key]["file"]) for key in ("amplitude", "phase"))
        factor = amplitude * np.exp(1j * phase)
    elif one["kind"] == "lens":
        y, x = (coordinates(grid, axis) - settings["centre"][axis] for axis in (0, 1))
        made_for = settings["design_wavelength"] or wavelength
        factor = np.exp(-1j * math.pi / (made_for * settings["focal_length"]) * (y[:, None] ** 2 + x**2))
        factor = factor * hole(grid, settings["centre"], settings["diameter"])
    elif one["kind"] == "aperture":
        factor = hole(grid, settings["centre"], settings["diameter"], settings["opening"])
    else:
        raise ValueError(f"the element {one['kind']!r} is not known here")
    return lambda field: factor * field, grid


def relay(
    grid: dict[str, Any], settings: dict[str, Any], wavelength: float
) -> tuple[Callable[[Array], Array], dict[str, Any]]:
    """A 4-f relay, by the light in its Fourier plane, and the plane of its image."""
    given = settings["focal_length"]
    first, second = given if isinstance(given, list) else (given, given)
    shape = [2 * count for count in grid["shape"]]
    pitches = [wavelength * first / (n * pitch) for n, pitch in zip(shape, grid["pitch_m"], strict=True)]
    fourier = {"shape": shape, "pitch_m": pitches, "offset_m": [0.0, 0.0]}
    image = {
        "shape": grid["shape"],
        "pitch_m": [pitch * second / first for pitch in grid["pitch_m"]],
        "offset_m": [-offset * second / first for offset in grid["offset_m"]],
    }
    there, on = (
        propagator({"name": "focal-plane", "parameters": {"front": focal}}, *planes, wavelength, focal)
        for focal, planes in ((first, (grid, fourier)), (second, (fourier, image)))
    )
    stop = hole(fourier, (0.0, 0.0), settings["aperture"])
    return lambda field: on(stop * there(field)), image


def hole(grid: dict[str, Any], centre: Any, diameter: float | None = None, opening: list[float] | None = None) -> Array:
    """The part of each pixel inside a circle or a rectangle around a centre; all of it without either."""
    pitch_y, pitch_x = grid["pitch_m"]
    y, x = (coordinates(grid, axis) - centre[axis] for axis in (0, 1))
    if opening is not None:
        rows, columns = (
            inside(at, pitch, -side / 2, side / 2)
            for at, pitch, side in zip((y, x), (pitch_y, pitch_x), opening, strict=True)
        )
        return rows[:, None] * columns / (pitch_y * pitch_x)
    if diameter is None:
        return np.ones(grid["shape"])
    radius, area = diameter / 2, pitch_y * pitch_x
    near, far = (
        np.hypot(np.maximum(np.abs(y) + side * pitch_y / 2, 0)[:, None], np.maximum(np.abs(x) + side * pitch_x / 2, 0))
        for side in (-1, 1)
    )
    part = (far <= radius).astype(float)
    for row, column in np.argwhere((near < radius) & (far > radius)):
        part[row, column] = area_inside(y[row], x[column], pitch_y, pitch_x, radius) / area
    return part


def area_inside(y: float, x: float, height: float, width: float, radius: float) -> float:
    """The area of a rectangle around (y, x) that is inside a circle around 0."""
    left, right, ends = x - width / 2, x + width / 2, (y - height / 2, y + height / 2)
    # Where an end of it leaves the circle, what is inside bends.
    bends = [side * math.sqrt(radius**2 - end**2) for end in ends if abs(end) < radius for side in (-1, 1)]
    total = 0.0
    for start, end in pairwise(sorted(min(max(at, left), right) for at in (-radius, *bends, radius, left, right))):
        if end > start and min(abs(start), abs(end)) < radius:
            # In the angle, in which the circle is smooth at its sides.
            low, high = (math.asin(min(max(at / radius, -1.0), 1.0)) for at in (start, end))
            half = radius * np.cos((low + high) / 2 + (high - low) / 2 * NODES)
            total += float((inside(np.full_like(half, y), height, -half, half) * half) @ WEIGHTS) * (high - low) / 2
    return total


def inside(at: Array, pitch: float, low: Any, high: Any) -> Array:
    """How much of each sample's pixel, a pitch wide, lies between two ends."""
    return np.maximum(np.minimum(at + pitch / 2, high) - np.maximum(at - pitch / 2, low), 0.0)


def propagator(
    method: dict[str, Any], source: dict[str, Any], target: dict[str, Any], wavelength: float, z: float
) -> Callable[[Array], Array]:
    """What takes a field from one plane to the next, as the formula of the method says."""
    name, parameters = method["name"], method["parameters"]
    carrier = np.exp(2j * math.pi * (z / wavelength))
    if name in ("fraunhofer", "focal-plane"):
        front = parameters.get("front", 0.0)
        curvature = 1 - front / z
        carrier = np.exp(2j * math.pi * ((z + front) / wavelength))
        rows, columns = (far_field(source, target, axis, wavelength, z, curvature) for axis in (0, 1))
        return lambda field: carrier * (rows @ field @ columns.T)
    if name in KERNELS:
        rows, columns = (
            KERNELS[name](displacements(source, target, axis), source["pitch_m"][axis], wavelength, z, parameters)
            for axis in (0, 1)
        )
        return lambda field: carrier * (rows @ field @ columns.T)
    if name == "angular-spectrum":
        return angular_spectrum(source, target, wavelength, z)
    if name == "rayleigh-sommerfeld":
        return rayleigh_sommerfeld(source, target, wavelength, z)
    g, f = (np.fft.fftfreq(n, pitch) for n, pitch in zip(source["shape"], source["pitch_m"], strict=True))
    if name == "angular-spectrum-wrapped":
        transfer = plane_waves(g[:, None], f, wavelength, z)
    elif name == "fresnel-wrapped":
        transfer = np.exp(-1j * math.pi * wavelength * z * (g[:, None] ** 2 + f**2))
    else:
        raise ValueError(f"the method {name!r} is not known here")
    return lambda field: carrier * np.fft.ifft2(transfer * np.fft.fft2(field))


def displacements(source: dict[str, Any], target: dict[str, Any], axis: int) -> Array:
    """Target minus source coordinate along an axis, `target x source`."""
    return coordinates(target, axis)[:, None] - coordinates(source, axis)


def fresnel(d: Array, pitch: float, wavelength: float, z: float, _: dict[str, Any]) -> Array:
    """One axis of the Fresnel transfer function, integrated over the band of the samples."""

    def integrand(f: Array, d: Array) -> Array:
        return pitch * np.exp(2j * math.pi * f * d - 1j * math.pi * wavelength * z * f**2)

    turns = np.abs(d).max() / pitch + wavelength * z / (4 * pitch**2)
    return integral(integrand, d, -1 / (2 * pitch), 1 / (2 * pitch), turns)


def fresnel_pixels(d: Array, pitch: float, wavelength: float, z: float, parameters: dict[str, Any]) -> Array:
    """One axis of the Fresnel diffraction of square pixels."""
    half = pitch * math.sqrt(parameters["fill_factor"]) / 2

    def integrand(u: Array, d: Array) -> Array:
        return np.exp(-0.25j * math.pi + 1j * math.pi * (d + u) ** 2 / (wavelength * z)) / math.sqrt(wavelength * z)

    turns = 2 * half * (np.abs(d).max() + half) / (wavelength * z)
    return integral(integrand, d, -half, half, turns)


def fresnel_impulse(d: Array, pitch: float, wavelength: float, z: float, _: dict[str, Any]) -> Array:
    """One axis of the Fresnel impulse response, sampled."""
    return pitch * np.exp(-0.25j * math.pi + 1j * math.pi * d**2 / (wavelength * z)) / math.sqrt(wavelength * z)


KERNELS = {"fresnel": fresnel, "fresnel-pixels": fresnel_pixels, "fresnel-impulse": fresnel_impulse}


def integral(f: Callable[[Array, Array], Array], d: Array, low: float, high: float, turns: float) -> Array:
    """The integral of f(u, d) over u for every d, by quadrature of pieces of about a turn of its phase."""
    displacement, place = np.unique(np.round(d, 15), return_inverse=True)
    edges = np.linspace(low, high, math.ceil(turns) + 2)
    result = np.zeros(displacement.shape, dtype=complex)
    for left, right in pairwise(edges):
        u = (left + right) / 2 + (right - left) / 2 * NODES
        result += f(u, displacement[:, None]) @ (WEIGHTS * (right - left) / 2)
    return result[place].reshape(d.shape)


def far_field(
    source: dict[str, Any], target: dict[str, Any], axis: int, wavelength: float, z: float, curvature: float
) -> Array:
    """One axis of a far field, a `target x source` matrix."""
    at, x = coordinates(target, axis)[:, None], coordinates(source, axis)
    phase = math.pi * curvature * at**2 / (wavelength * z) - 2 * math.pi * at * x / (wavelength * z) - math.pi / 4
    return source["pitch_m"][axis] * np.exp(1j * phase) / math.sqrt(wavelength * z)


def angular_spectrum(
    source: dict[str, Any], target: dict[str, Any], wavelength: float, z: float
) -> Callable[[Array], Array]:
    """The angular spectrum, integrated over the band of the samples: a frequency of y after the other."""
    (down, rows), (across, columns) = (
        np.unique(np.round(np.abs(displacements(source, target, axis)), 15), return_inverse=True) for axis in (0, 1)
    )
    edges = [1 / (2 * pitch) for pitch in source["pitch_m"]]
    corner = 1 / wavelength**2 - edges[0] ** 2 - edges[1] ** 2
    grazing = math.sqrt(max(1 / wavelength**2 - edges[1] ** 2, 0))
    kernel = np.zeros((len(down), len(across)), dtype=complex)
    for g, weight in zip(*band([grazing, 1 / wavelength, edges[0]], down.max(), z, corner), strict=True):
        grazing = math.sqrt(max(1 / wavelength**2 - g**2, 0))
        f, weights = band([grazing, edges[1]], across.max(), z, corner)
        waves = weight * weights * plane_waves(np.array(g), f, wavelength, z)
        kernel += np.cos(2 * math.pi * g * down)[:, None] * (np.cos(2 * math.pi * across[:, None] * f) @ waves)
    # Four quarters of the band are alike.
    kernel *= 4 * source["pitch_m"][0] * source["pitch_m"][1] * np.exp(2j * math.pi * (z / wavelength))
    shape = (target["shape"][0], source["shape"][0]), (target["shape"][1], source["shape"][1])
    whole = kernel[rows.reshape(shape[0])][:, :, columns.reshape(shape[1])]
    return lambda field: np.einsum("ymxn,...mn->...yx", whole, field)


def band(ends: list[float], reach: float, z: float, corner: float) -> tuple[Array, Array]:
    """Frequencies from 0 to the last of some ends, and weights: in each part as many as its light turns.

    They are denser towards the ends, where light that begins to graze is a square root. `corner` is the square of the
    axial frequency of the steepest light.
    """
    frequencies, weights = [], []
    for left, right in pairwise([0.0, *(min(end, ends[-1]) for end in ends)]):
        if right > left:
            axial = min(right, right**2 / math.sqrt(corner)) if corner > 0 else right
            pieces = math.ceil(reach * (right - left) + z * axial) + 2
            middles = (np.arange(pieces) + 0.5)[:, None] / pieces
            v = math.pi / 2 * (middles + NODES / (2 * pieces)).ravel()
            frequencies.append(left + (right - left) * np.sin(v) ** 2)
            density = (right - left) * np.sin(2 * v) * math.pi / 2
            weights.append(density * np.tile(WEIGHTS / (2 * pieces), pieces))
    return np.concatenate(frequencies), np.concatenate(weights)


def plane_waves(g: Array, f: Array, wavelength: float, z: float) -> Array:
    """The phase that plane waves gain over a distance, beyond that of one along the axis; evanescent ones decay."""
    s = wavelength**2 * (g**2 + f**2)
    turns = z / wavelength * -np.minimum(s, 1) / (1 + np.sqrt(np.maximum(1 - s, 0)))
    return np.exp(2j * math.pi * turns - 2 * math.pi * z / wavelength * np.sqrt(np.maximum(s - 1, 0)))


def rayleigh_sommerfeld(
    source: dict[str, Any], target: dict[str, Any], wavelength: float, z: float
) -> Callable[[Array], Array]:
    """The first Rayleigh-Sommerfeld integral, summed sample by sample: simple, and slow where planes are large."""
    down, across = displacements(source, target, 0), displacements(source, target, 1)
    area, k = source["pitch_m"][0] * source["pitch_m"][1], 2 * math.pi / wavelength

    def propagate(field: Array) -> Array:
        result = np.zeros((len(down), len(across)), dtype=complex)
        for row, dy in enumerate(down):
            beside = dy[:, None, None] ** 2 + across**2  # source rows x target columns x source columns
            r = np.sqrt(beside + z**2)
            h = z / (2 * math.pi * r**2) * (1 / r - 1j * k) * np.exp(1j * k * (beside / (r + z)))
            result[row] = np.einsum("ytx,yx->t", h, field)
        return area * np.exp(2j * math.pi * (z / wavelength)) * result

    return propagate


def main() -> None:
    """Compare the readings of the test inputs in a folder with those expected."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "manifest.json").is_file():
        sys.exit("usage: python emulate.py FOLDER, one that voltphase deploy has written")
    emulator = Emulator(sys.argv[1])
    samples = emulator.manifest.get("samples")
    if samples is None:
        sys.exit(f"{sys.argv[1]} holds no test inputs: it is of format version 1")
    images = np.load(emulator.folder / samples["images"]["file"])
    expected = np.load(emulator.folder / samples["readings"]["file"])
    readings = emulator.readings(images)
    print(f"{samples['origin']}:")
    if "pixels" in emulator.manifest["readout"]:  # pictures, which name no class
        print(f"  pixels differ by at most {np.abs(readings - expected).max() / expected.max():.1e} of the largest")
        return
    print(f"  readings differ by at most {np.abs(readings - expected).max() / expected.max():.1e} of the largest")
    predictions, wanted = (emulator.answers_of(emulator.logits_of(values)) for values in (readings, expected))
    if predictions is None or wanted is None:
        return
    numbers = predictions.dtype.kind == "f"
    if numbers:
        print(f"  predictions differ by at most {np.abs(predictions - wanted).max():.1e}")
    else:
        print(f"  {equal(predictions, wanted)} of {len(images)} predictions equal")
    if samples["labels"] is not None:
        targets = np.load(emulator.folder / samples["labels"]["file"]).reshape(predictions.shape)
        if numbers:
            print(f"  predictions are {np.abs(predictions - targets).mean():.4g} from their targets in the mean")
        else:
            print(f"  {equal(predictions, targets)} of {len(images)} right")


def equal(answers: Array, others: Array) -> int:
    """How many images have the same answer in both, in each of its bits."""
    return int((answers == others).reshape(len(answers), -1).all(1).sum())


if __name__ == "__main__":
    main()
