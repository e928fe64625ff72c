"""What is said of the devices before training: what looks wrong, and which of their states are used."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from voltphase.config import Config, DeviceConfig
from voltphase.core.advice import advise
from voltphase.core.units import metres
from voltphase.devices import Device, DeviceWarning, summary
from voltphase.devices.spectrum import DeviceSpectrum, parts_of
from voltphase.devices.summary import closest, warn_of
from voltphase.training.build import whole_device

# What few states picked out of many can be, and the many need not.
_OF_THE_CHOICE = ("same", "duplicates", "close")


def note_devices(config: Config) -> list[list[str]]:
    """Warn once of what is worth a look in each device, and return the notes on each layer's, for the run's summary.

    Raises:
        DeviceError: as :func:`voltphase.training.build_devices`.

    Warns:
        DeviceWarning: for each note.
    """
    made: dict[str, list[str]] = {}
    wavelengths = config.optics.wavelengths
    for key, device in _different(config).items():
        whole = whole_device(device, wavelengths)
        each, several = zip(parts_of(whole), wavelengths, strict=True), len(wavelengths) > 1
        said = [text for part, at in each for text in warn_of(part, at, one_of_several=several)]
        made[key] = [*said, *_of_choice(device, whole)]
    return [made[str(device.model_dump())] for device in config.layer_devices]


def show_choice(config: Config, console: Console) -> None:
    """Say which states of each device are used, where not all are, and what another choice would be."""
    for device in _different(config).values():
        for line in _choice(device, whole_device(device, config.optics.wavelengths)):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _different(config: Config) -> dict[str, DeviceConfig]:
    return {str(device.model_dump()): device for device in config.layer_devices}


def _of_choice(device: DeviceConfig, whole: Device) -> Iterator[str]:
    if device.levels is None or device.levels >= len(whole):
        return
    picked = whole.pick(device.levels, device.pick)
    for table in picked.tables:
        for note in summary(table).notes:
            if note.kind in _OF_THE_CHOICE:
                text = f"device {table.name}{_at(picked)}, {device.levels} states picked by {device.pick}: {note.text}"
                advise(text, DeviceWarning, f"{table.name}{_at(picked)}", note.kind)
                yield text


def _choice(device: DeviceConfig, whole: Device) -> Iterator[str]:
    if device.levels is None or device.levels >= len(whole):
        return
    unused = len(whole) - device.levels
    yield f"device {whole.name}: {device.levels} of its {len(whole)} states; the other {unused} are not used"
    for rule in (device.pick, "even" if device.pick == "spread" else "spread"):
        here = ", as here" if rule == device.pick else ""
        yield f"  device.pick={rule}{here}: {_figures(whole.pick(device.levels, rule))}"
    yield f"  device.levels=null, all {len(whole)}: {_figures(whole)}"


def _figures(device: Device) -> str:
    table = device.tables[0]
    gap = f"widest gap of the phase {summary(table).largest_gap:.2g} rad{_at(device)}"
    return f"nearest two {closest(table)[2]:.2g} apart on the complex plane, {gap}"


def _at(device: Device) -> str:
    """Return the wavelength of the first tables, where there are others at other wavelengths."""
    return f" at {metres(device.wavelengths[0])}" if isinstance(device, DeviceSpectrum) else ""
