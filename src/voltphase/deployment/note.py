"""The note for the person at the bench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from voltphase.deployment.folder import MANIFEST_NAME
from voltphase.deployment.formulas import CONVENTIONS, ELEMENT_FORMULAS
from voltphase.deployment.manifest import LayerRecord, Manifest
from voltphase.deployment.note_planes import off_axis, paragraph, planes_blocks
from voltphase.deployment.records import ArrayRecord, ReferenceRecord
from voltphase.deployment.targets import Layer, Target
from voltphase.optics.grid import Grid
from voltphase.tasks.base import CLASS_ANSWER

_MEASURES: Final = {
    "sum": "the sum of the intensity",
    "mean": "the mean of the intensity",
    "amplitude": "the mean of the square root of the intensity",
    "fraction": "the sum of the intensity, divided by that over the whole detector",
}

_DECISIONS: Final = {
    "wavelength": "a region is read at both wavelengths, and the highest contrast (P - N) / (P + N) names the class, "
    "where P is its reading at the first and N that at the second",
    False: "the region with the highest reading names the class",
    True: "a class has two regions, and the highest contrast (P - N) / (P + N) names the class, where P is the reading "
    "of its region + and N that of its region -",
}

_APART: Final = (
    "Rows and columns, y and x are those of each detector by itself, about the axis. In {} regions are of all "
    "detectors side by side from left to right."
)

_ORIENTATION: Final = (
    "Row 0 of an image is its top row, column 0 its left column. Every plane is drawn as seen by an eye that looks "
    "along the light, from the source to the detector: x grows to the right, y downwards, and the centre of every "
    "plane lies on the axis unless an offset is given.",
    "Each reflection on the way (a folding mirror, a reflective device) turns left into right for what lies behind "
    "it. Count the reflections between the source and a device or the camera: where they are odd, mirror the image "
    "left to right.",
)


_CARRIERS: Final = {"amplitude": "its amplitude", "phase": "its phase", "both": "its amplitude and phase"}


def _light(manifest: Manifest) -> str:
    source = manifest.input
    where = "on the axis" if source.centre_m is None else f"centred {off_axis(source.centre_m)}"
    waist = "" if source.waist_m is None else f"{source.waist_m * 1e3:.6g} mm at 1/e of the amplitude, {where}"
    phase = f"; {source.phase_range_rad:.6g} rad for the brightest pixel" if source.phase_range_rad is not None else ""
    dark = f"; a black pixel has the amplitude {source.background:.6g}" if source.background else ""
    mask = f"; behind the mask of {source.mask.amplitude.file} and {source.mask.phase.file}" if source.mask else ""
    return f"{f'a Gaussian beam of {waist}' if waist else 'a plane wave'}{phase}{dark}{mask}"


def light_words(manifest: Manifest) -> str:
    """Return the wavelengths of the light and how coherent it is, as a person reads it."""
    if manifest.light is None:
        return f"{manifest.wavelength_m * 1e9:.9g} nm, coherent"
    return manifest.light.words()


def bench_note(manifest: Manifest, layers: Sequence[Layer], target: Target) -> str:
    """Return what a person needs to set the system up, as plain text."""
    count = "one device" if len(layers) == 1 else f"{len(layers)} devices"
    along = "along one axis" if manifest.beams is None else f"in {len(manifest.beams)} networks side by side"
    cameras = "a detector" if manifest.detectors is None else f"{len(manifest.detectors)} detectors"
    shape = "{} x {}".format(*manifest.input.image_shape)
    title = "voltphase deployment"
    methods = ", ".join(name for name in manifest.propagation.formulas if name not in ELEMENT_FORMULAS)
    blocks = [
        f"{title}\n{'=' * len(title)}",
        paragraph(
            f"An optical network: a source that carries an image as {_CARRIERS[manifest.input.encoding]}, {count} and "
            f"{cameras}, {along}. All of this is in {MANIFEST_NAME} too, for programs."
        ),
        paragraph(f"Light: {light_words(manifest)} ({methods} propagation)."),
        paragraph(
            f"Input: {shape} images, their brightness {_CARRIERS[manifest.input.encoding].replace('its', 'the')} of "
            f"{_light(manifest)}, interpolated bilinearly to the samples of the source (Computing the readings, below, "
            "says how)."
        ),
        _section("Planes", *planes_blocks(manifest)),
        _section("Images and devices", *_devices(manifest, layers, target)),
        _section("Orientation", *map(paragraph, _ORIENTATION)),
        _section("Detector", *_detector(manifest)),
        _section("Computing the readings", *map(paragraph, _formulas(manifest))),
        _section("Files", *_files(manifest, target)),
        _section("Check", *map(paragraph, _check(manifest))),
    ]
    return "".join(f"{line.rstrip()}\n" for line in "\n\n".join(blocks).split("\n"))


def _devices(manifest: Manifest, layers: Sequence[Layer], target: Target) -> Iterator[str]:
    alike: dict[str, list[tuple[Layer, LayerRecord]]] = {}
    for layer, record in zip(layers, manifest.layers, strict=True):
        key = repr((layer.device.name, layer.device.digest, record.target.details))
        alike.setdefault(key, []).append((layer, record))
    told: dict[str, str] = {}  # the files that a text was told of first
    for group in alike.values():
        layer, first = group[0][0], group[0][1].written
        names = ", ".join(dict.fromkeys(name for _, record in group for name in target.to_load(record.written)))
        words = f"{names}: for {layer.device.name}, {len(layer.device)} levels, {target.format(first)}."
        instructions = target.instructions(layer, first)
        texts = [text for text in instructions if text not in told]
        if len(texts) < len(instructions):
            texts.append(f"All else is as for {next(told[text] for text in instructions if text in told)}.")
        told |= dict.fromkeys(texts, names)
        maps = ", ".join(record.regions.file for _, record in group if record.regions is not None)
        if maps:
            texts.append(
                f"A panel: {maps} says which of its tables in {MANIFEST_NAME} each pixel follows. Where it is -1 no "
                "driver reaches the pixel, and its level is 0."
            )
        indented = "\n\n".join(paragraph(text, "  ") for text in texts)
        yield f"{paragraph(words)}\n{indented}".rstrip("\n")


def _detector(manifest: Manifest) -> list[str]:
    readout, detector = manifest.readout, manifest.grids[-1]
    about = (
        "The readings count background light: even and incoherent, of an intensity of "
        f"{readout.background_light:.6g} a sample, where 1 is that of a white pixel on the source in a plane wave."
    )
    beside = [paragraph(about)] if readout.background_light else []
    if readout.pixels is not None:
        size = "{} x {}".format(*readout.pixels)
        where = "rows {}-{}, columns {}-{}; y {} mm, x {} mm".format(*span(readout.regions[0], detector))
        return [paragraph(f"A picture of {size} pixels is read of the window of {where}. {readout.formula}"), *beside]
    factor = readout.scale * manifest.reading_factor
    gain = f", in which {manifest.reading_factor:.7g} is the digital gain" if manifest.reading_factor != 1 else ""
    paired = readout.differential
    apart = manifest.detectors is not None and manifest.part != detector
    on = f"{'detector':<10}" * apart
    rows = [f"{'region':<8}{on}{'class':<14}{'rows':<11}{'columns':<11}{'y from, to (mm)':<20}x from, to (mm)"]
    for index, box in enumerate(readout.on_detector.boxes):
        number = readout.on_detector.class_of(index)
        name = readout.classes[number] if readout.classes else str(number) if paired else ""
        if paired is True:
            name += " -" if index % 2 else " +"
        which, there, grid = manifest.seen(box)
        top, bottom, left, right, down, across = span(there, grid)
        on = f"{which:<10}" * apart
        rows.append(f"{index:<8}{on}{name:<14}{f'{top}-{bottom}':<11}{f'{left}-{right}':<11}{down:<20}{across}")
    return [
        paragraph(
            f"The reading of a region is {_MEASURES[readout.measure]}; {_decision(manifest)} To get the logits of the "
            f"design, multiply {'contrasts' if paired else 'readings'} by {factor:.7g}{gain}."
        ),
        "\n".join(rows),
        *([paragraph(_APART.format(MANIFEST_NAME))] if apart else []),
        *beside,
    ]


def span(box: Sequence[int], detector: Grid) -> tuple[int, int, int, int, str, str]:
    """Return first and last row and column of a region, and where it lies in millimetres down and across."""
    (row, column, height, width), (y, x) = box, detector.coordinates()
    pitch_y, pitch_x = detector.pitch
    down = _range(float(y[row]) - pitch_y / 2, height * pitch_y)
    return (
        row,
        row + height - 1,
        column,
        column + width - 1,
        down,
        _range(float(x[column]) - pitch_x / 2, width * pitch_x),
    )


def _decision(manifest: Manifest) -> str:
    answer, paired = manifest.readout.task_object.answer, manifest.readout.differential
    if answer == CLASS_ANSWER:
        return f"{_DECISIONS[paired]}."
    if paired == "wavelength":
        return f"the contrast of a region is that of its readings at both wavelengths. {answer}"
    contrast = "the contrast of a pair is (P - N) / (P + N), with P that of its region + and N that of its region -. "
    return f"{contrast if paired else ''}{answer}"


def _formulas(manifest: Manifest) -> Iterator[str]:
    yield (
        f"Everything below is in {MANIFEST_NAME} too, each number to its last digit. The field on the source goes to "
        "the first layer, is multiplied by the state of each pixel, goes on to the next layer, and so on to the "
        "detector. The arrays of levels say which state that is, and the tables of states there what it is."
    )
    formulas = manifest.propagation.formulas | ({} if manifest.light is None else manifest.light.formulas)
    if manifest.skips is not None:
        yield f"Skips: {manifest.conventions['skips']}"
        for formula in dict.fromkeys(skip.formula for skip in manifest.skips):
            if formula not in formulas.values():
                yield f"On skips: {formula}"
    if manifest.beams is not None or manifest.detectors is not None:
        networks = " The beams are the networks, see Planes, above." if manifest.beams is not None else ""
        yield f"Beams: {manifest.conventions['beams']}{networks}"
    if manifest.detectors is not None:
        yield f"Detectors: {manifest.conventions['detectors']}"
    for key in ("time", "state", "tables", "target", "coordinates", "arrays", "input", "interpolation"):
        yield f"{key.capitalize()}: {CONVENTIONS[key]}"
        if key == "input" and manifest.input.formula is not None:
            yield f"Source: {manifest.input.formula}."
    if any(layer.regions is not None for layer in manifest.layers):
        yield f"Panels: {CONVENTIONS['inactive_value']}"
    for name, formula in formulas.items():
        yield f"{'Between planes' if name in ELEMENT_FORMULAS else 'From plane to plane'} ({name}): {formula}"
    if manifest.light is not None:
        yield f"Light: {manifest.light.formula}"
    for number, method in enumerate(manifest.propagation.methods, start=1):
        figures = "; ".join(f"{name} = {value!r}" for name, value in method.parameters.items() if value is not None)
        if figures:
            yield f"Gap {number} ({method.name}): {figures}."
    yield f"Regions: {CONVENTIONS['regions']}"
    readout = manifest.readout
    yield f"Readout: {readout.formula} Here scale = {readout.scale!r} and digital_factor = {manifest.reading_factor!r}."


def _files(manifest: Manifest, target: Target) -> list[str]:
    rows = [("file", "dtype", "what it holds")]

    def tell(array: ArrayRecord | None, what: str) -> None:
        if array is not None:
            rows.append((array.file, str(array.dtype), what))

    if (mask := manifest.input.mask) is not None:
        tell(mask.amplitude, "the amplitude of the mask in front of the source, [row, column]")
        tell(mask.phase, "its phase in radians, [row, column]")
    for element in manifest.propagation.elements:
        tell(element.amplitude, "the amplitude of what an element multiplies light by, [row, column]")
        tell(element.phase, "its phase in radians, [row, column]")
    for number, layer in enumerate(manifest.layers, start=1):
        kind = target.format(layer.written)
        what = f"the map of layer {number}; for its values see Images and devices, above"
        loaded = target.to_load(layer.written)
        rows += [(file.file, kind, what) for file in layer.target.files if file.file in loaded]
        # Files that several layers share are told of once.
        beside = [file.file for file in layer.target.files if file.file not in {name for name, *_ in rows}]
        rows += [(name, Path(name).suffix[1:].upper(), f"goes with the map of layer {number}") for name in beside]
        tell(layer.levels, f"the level of each pixel of layer {number}, [row, column]")
        follows = f"the table that each pixel of layer {number} follows, [row, column], -1 where inactive"
        tell(layer.regions, follows)
    parts = ", part" if manifest.readout.measure == "field" else ""  # real and imaginary
    axes = "" if manifest.readout.pixels is None else f"[image, row, column{parts}]"
    if (samples := manifest.samples) is not None:
        tell(samples.images, f"{samples.origin}, [image, row, column]")
        tell(samples.labels, "the class of each of them" if manifest.readout.classes else "what is wanted of each")
        tell(samples.readings, f"what the detector reads for each, {axes or '[image, region]'}")
    if (reference := manifest.reference) is not None:
        outputs = f"pictures of the light for all {reference.images}" if axes else f"logits of all {reference.images}"
        tell(reference.logits, f"the {outputs} {reference.split} images, {axes or '[image, class]'}")
    widths = [max(least, *(len(row[column]) + 2 for row in rows)) for column, least in enumerate((22, 18))]
    told = ["data_sha256", *([] if manifest.readout.classes else ["targets"]), "manifest_sha256"]
    return [
        "\n".join(f"{name:<{widths[0]}}{kind:<{widths[1]}}{what}" for name, kind, what in rows),
        paragraph(CONVENTIONS["files"]),
        *(paragraph(f"{key} in {MANIFEST_NAME}: {CONVENTIONS[key]}") for key in told),
    ]


def _check(manifest: Manifest) -> Iterator[str]:
    if (samples := manifest.samples) is not None:
        # A share of the light on the detector does not depend on how bright the light is.
        but_for = "noise" if manifest.readout.measure == "fraction" else "noise and a factor that all readings have"
        yield (
            f"{samples.images.file} holds {samples.origin}. Whoever sends them through the system has to find the "
            f"readings in {samples.readings.file}: a program to rounding, a bench but for {but_for}."
        )
    if (reference := manifest.reference) is None:
        yield "Deployed without a test set."
    else:
        yield f"The design {_reached(manifest, reference)}; its logits for each are in {reference.logits.file}."
    yield "`voltphase verify` on this folder rebuilds the system from these files alone and compares."


def _reached(manifest: Manifest, reference: ReferenceRecord) -> str:
    images = f"the {reference.images} {reference.split} images of {reference.data}"
    if reference.metric == "accuracy":
        return f"gets {reference.expected:.2%} of {images} right"
    article = "an" if reference.metric[0] in "aeiou" else "a"
    return f"reaches {article} {reference.metric} of {manifest.readout.metric.text(reference.expected)} on {images}"


def _section(title: str, *blocks: str) -> str:
    return f"{title}\n{'-' * len(title)}\n" + "\n\n".join(blocks)


def _range(start: float, width: float) -> str:
    return f"{start * 1e3:+.3f}, {(start + width) * 1e3:+.3f}"
