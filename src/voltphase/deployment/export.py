"""Writing what the bench needs: the maps of all devices, and everything to know about the system around them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from voltphase.core.errors import DataError, DeploymentError, OutputError
from voltphase.core.files import atomic_directory, checked_path
from voltphase.core.installed import package_version
from voltphase.deployment.folder import MANIFEST_NAME, record_file, write_array
from voltphase.deployment.formulas import (
    CONVENTIONS,
    CONVENTIONS_4,
    DETECTORS,
    picture_formula,
    reading_factor,
    readout_formula,
)
from voltphase.deployment.layers import read_layers, read_levels, write_mask
from voltphase.deployment.manifest import FORMAT, FORMAT_VERSIONS, LayerFiles, LayerRecord, Manifest
from voltphase.deployment.note import bench_note
from voltphase.deployment.parts.beams import BeamRecord, DetectorRecord, SkipRecord
from voltphase.deployment.parts.elements import write_elements
from voltphase.deployment.parts.light import LightRecord, distances_of, methods_of
from voltphase.deployment.parts.readout import ReadoutRecord
from voltphase.deployment.proof.samples import measure_of, readout_of_light, write_reference, write_samples
from voltphase.deployment.propagation import PRECISIONS, InputRecord, PropagationRecord
from voltphase.deployment.records import (
    LARGEST_PLANE,
    Chosen,
    GridRecord,
    named_data,
    refusal,
)
from voltphase.deployment.targets import TARGETS, Layer, Target
from voltphase.deployment.targets.panel.trained_for import check_panel_of_run
from voltphase.devices.record import to_json
from voltphase.tasks import TASKS, RegionReadout, WindowReadout, all_outputs
from voltphase.tasks.hybrid import ElectronicReadout

if TYPE_CHECKING:
    from voltphase.codesign import CodesignLayer
    from voltphase.data import ImageDataset, Images
    from voltphase.network.donn import DONN
    from voltphase.optics.gap import Gap

NOTE_NAME: Final = "README.txt"
# A tie between two regions may fall the other way on another machine; more than this is another network.
_TOLERANCE: Final = 0.002


def deploy(
    model: DONN,
    out: str | PathLike[str],
    *,
    dataset: Images | None = None,
    split: str = "test",
    expected: float | None = None,
    target: str | Target = "slm-image",
    rebuilt_from: dict[str, Any] | None = None,
) -> Path:
    """Write the maps of the devices of a trained model, and all that is needed to rebuild the system.

    The folder holds, per layer, what the target writes, which for ``slm-image`` is ``layer-N.png`` (the grey value of
    each pixel), and ``layer-N-levels.npy`` (its level), where it is a panel ``layer-N-regions.npy`` (the table each
    pixel follows, -1 where it is inactive; the level is 0 there). ``manifest.json`` and ``README.txt`` say all about
    the system around them, formulas and conventions included. ``sample-images.npy``, ``sample-labels.npy`` and
    ``sample-readings.npy`` are 20 inputs, the first of the data set or noise without one, and what the detector reads
    for each. A mask in front of the source is ``source-mask-amplitude.npy`` and ``source-mask-phase.npy``. With a data
    set ``expected-logits.npy`` holds what the model gives for every image, to verify against.

    Args:
        model: Trained network; its argmax states are deployed, those it is evaluated with.
        out: Folder to make.
        dataset: Test set to judge the deployed system by, a data set or ``(images, labels)``.
        split: Name of the part of the data set that is used.
        expected: Value of the task's first metric that the model is known to reach on ``dataset``.
        target: Kind of thing to deploy to, by its name in `voltphase.deployment.targets.TARGETS` or as an object.
        rebuilt_from: Settings to load ``dataset`` again by for verifying, as in ``data:`` of a configuration; its name
            by default.

    Returns:
        ``out`` as a path.

    Raises:
        OutputError: if ``out`` exists already or cannot be written.
        DeploymentError: if there is no such target, ``dataset`` has other classes than the detector tells apart, the
            model does not reach what is expected, the target cannot show a device, a plane has too many samples, or the
            model holds what cannot be rebuilt from files, such as a method of propagation of its own.
        ConfigError: if the model's relaxation has no levels to deploy.
    """
    out = checked_path(out, OutputError)
    record = _target_record(target)
    writer: Target = record.make(TARGETS, Path(MANIFEST_NAME), "target")  # with the settings that the folder will name
    dataset = given_dataset(dataset, list(map(str, range(_classes(model)))))
    levels = [level.cpu().numpy() for level in model.levels()]  # a network that has none is refused before the work
    for grid in model.grids:
        if grid.rows * grid.columns > LARGEST_PLANE:
            raise DeploymentError(
                f"expected planes of at most {LARGEST_PLANE} samples, as many as are read again, but got "
                f"{grid.rows} x {grid.columns}"
            )
    with atomic_directory(out) as folder:  # tried before the work
        logits = None if dataset is None else _logits(model, dataset, expected)
        # Of light with electronics behind it the folder holds the light alone, which has no answers to judge.
        judged = None if isinstance(model.readout, ElectronicReadout) else dataset
        layers = [
            Layer(number, model.grids[number], one.device_states, model.wavelength)
            for number, one in enumerate(_layers(model), 1)
        ]
        try:
            manifest = Manifest(
                **_system(folder, model, () if judged is None else tuple(judged.classes)),
                target=Chosen.of(TARGETS, writer.in_folder()),
                layers=_write_layers(folder, model, writer, layers, levels),
                reference=write_reference(folder, model.task.metrics[0], judged, split, logits, rebuilt_from),
                samples=write_samples(folder, model, dataset, split, labelled=judged is not None),
                note=None,
            )
        except ValidationError as error:
            raise refusal(out / MANIFEST_NAME, error) from error
        # A name may hold what no UTF-8 can, half of a pair.
        note = bench_note(manifest, layers, writer).encode("utf-8", "backslashreplace")
        (folder / NOTE_NAME).write_bytes(note)
        manifest.model_copy(update={"note": record_file(folder / NOTE_NAME)}).write(folder)
        # What cannot be read again is refused now, not on the bench.
        manifest = Manifest.read(folder)
        read_levels(folder, manifest, read_layers(folder, manifest))
    return out


def deploy_run(
    run: str | PathLike[str],
    out: str | PathLike[str],
    *,
    data_dir: str | PathLike[str] | None = None,
    dataset: Images | None = None,
    target: str | Target = "slm-image",
) -> Path:
    """Deploy the model of a run folder, with the test set and the accuracy of that run.

    Args:
        run: Folder of a run, as training left it.
        out: Folder to make.
        data_dir: Folder where data sets lie; where the run's configuration says by default.
        dataset: Test set of a run that was trained on images given in Python, or all that were given to train.
        target: Kind of thing to deploy to, as for :func:`deploy`.

    Returns:
        ``out`` as a path.

    Raises:
        OutputError: if ``out`` exists already or cannot be written.
        DeploymentError: if there is no such target, its panel has other grey levels than that of the run, or the model
            does not reach the accuracy in the run's summary.
        DataError: if the run folder or its data set cannot be read.
    """
    from voltphase.training import RunFolder, build_dataset, load_run
    from voltphase.training.build import test_images_of

    out, run = checked_path(out, OutputError), checked_path(run, DataError)
    if data_dir is not None:
        data_dir = checked_path(data_dir, DataError)
    if out.exists():
        raise OutputError(f"expected a new folder, but {out} exists already: choose another or remove it")
    chosen = _target_record(target).make(TARGETS, Path(MANIFEST_NAME), "target")
    model, config, summary = load_run(run)
    check_panel_of_run(config.optics.panel, chosen)
    expected, rebuilt = summary[model.task.metrics[0].column("test")], None
    if dataset is None:
        RunFolder(run).require_data(summary)
        dataset, rebuilt = build_dataset(config, "test", data_dir), named_data(config.data.model_dump(mode="json"))
    else:
        dataset = test_images_of(dataset, config, summary)
    return deploy(model, out, dataset=dataset, expected=expected, target=target, rebuilt_from=rebuilt)


def given_dataset(dataset: Images | None, classes: list[str]) -> ImageDataset | None:
    """Return a data set that the user has given, perhaps as images and labels of these classes."""
    if dataset is None or hasattr(dataset, "image_shape"):
        return cast("ImageDataset | None", dataset)
    from voltphase.training.evaluation import dataset_of

    return dataset_of(dataset, classes)


def _target_record(target: str | Target) -> Chosen:
    return Chosen.of(TARGETS, TARGETS[target]() if isinstance(target, str) else target)


def _classes(model: DONN) -> int:
    """Return how many classes a model tells apart, none if it makes pictures."""
    if isinstance(model.readout, ElectronicReadout):
        return model.readout.electronics.out_features
    readout = readout_of_light(model)
    return readout.regions.classes if isinstance(readout, RegionReadout) else 0


def _logits(model: DONN, dataset: ImageDataset, expected: float | None) -> Tensor:
    """Return the model's logits of a data set, once it is one that the model was made for."""
    classes = _classes(model)
    if dataset.classes and len(dataset.classes) != classes:
        raise DeploymentError(
            f"expected a data set of {classes} classes, those the detector tells apart, but {dataset.name} has "
            f"{len(dataset.classes)}: deploy with data as the model was trained on"
        )
    model.task.check_data(dataset.name, dataset.classes, dataset.targets)
    logits = all_outputs(model, dataset.images)
    metric = model.task.metrics[0]
    reached = metric.of(logits, dataset.labels)
    if expected is not None and abs(reached - expected) > _TOLERANCE * (1 if metric.percent else abs(expected)):
        raise DeploymentError(
            f"expected the model to reach a test {metric.name} of {metric.number(expected)} on {dataset.name}, "
            f"but it reaches {metric.number(reached)}: the weights or the data are not those it was judged by"
        )
    return logits


def _system(folder: Path, model: DONN, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return what the manifest says of the system itself, and write the mask in front of its source, if it has one."""
    layers, readout = _layers(model), readout_of_light(model)
    dtype, beams = layers[0].table.values.dtype, model.beams.beams
    gains = [layers[number].gain for number in beams[0].layers]
    propagation = PropagationRecord.of(
        next(name for name, kind in PRECISIONS.items() if kind == dtype),
        distances_of(model),
        methods_of(model, model.wavelength),
        write_elements(folder, model),
    )
    plain = model.beams.single and not model.skips and not propagation.elements
    past = [cast("Gap", way[0]) for way in beams[0].past]
    detectors = DetectorRecord.of(model.layout)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSIONS[0 if plain else 1],
        "voltphase_version": package_version(),
        "conventions": CONVENTIONS if plain else CONVENTIONS_4 | (DETECTORS if detectors else {}),
        "wavelength_m": model.wavelength,
        "propagation": propagation,
        "light": LightRecord.of(model),
        "beams": BeamRecord.of(model.networks, len(model.way) - 2),
        "detectors": detectors,
        "skips": [SkipRecord.of(skip, gap) for skip, gap in zip(model.skips, past, strict=True)] or None,
        "input": InputRecord.of(model.source, write_mask(folder, model.source.light.mask)),
        "readout": ReadoutRecord(
            task=Chosen.of(TASKS, model.task),
            grid=GridRecord.of(model.grids[-1]),
            classes=list(classes),
            measure=measure_of(readout) if isinstance(readout, RegionReadout) else readout.measure,
            background_light=model.background_light,
            **(
                _of_picture(readout, model.background_light > 0)
                if isinstance(readout, WindowReadout)
                else _of_regions(readout, gains, model.task.answer, model.background_light > 0)
            ),
        ),
    }


def _of_regions(readout: RegionReadout, gains: list[float], answer: str, background: bool) -> dict[str, Any]:
    measure, contrasts = measure_of(readout), readout.contrasts
    differential = "wavelength" if readout.channels > 1 else readout.regions.paired
    return {
        "scale": readout.scale,
        "digital_factor": reading_factor(gains, measure, relative=contrasts),
        "differential": differential,
        "regions": [list(box) for box in readout.regions.boxes],
        "formula": readout_formula(measure, differential=differential, answer=answer, background=background),
    }


def _of_picture(readout: WindowReadout, background: bool) -> dict[str, Any]:
    return {
        "scale": 1.0,
        "digital_factor": 1.0,
        "differential": False,
        "regions": [list(readout.box)],
        "pixels": list(readout.pixels),
        "formula": picture_formula(readout.measure, readout.pixels, background=background),
    }


def _write_layers(
    folder: Path, model: DONN, target: Target, layers: list[Layer], levels: list[NDArray[np.integer]]
) -> list[LayerRecord]:
    written = target.write(folder, layers, levels)
    records = []
    for layer, level, trained, one in zip(layers, levels, _layers(model), written, strict=True):
        name, regions = f"layer-{layer.number}", layer.device.regions
        smallest = np.min_scalar_type(len(layer.device) - 1)
        records.append(
            LayerRecord(
                grid=GridRecord.of(layer.grid),
                device=to_json(layer.device),
                regions=None if regions is None else write_array(folder / f"{name}-regions.npy", regions.astype("<i4")),
                levels=write_array(folder / f"{name}-levels.npy", level.astype(smallest)),
                digital_gain=trained.gain,
                target=LayerFiles(files=[record_file(folder / file) for file in one.files], details=one.details),
            )
        )
    return records


def _layers(model: DONN) -> list[CodesignLayer]:
    return cast("list[CodesignLayer]", list(model.layers))
