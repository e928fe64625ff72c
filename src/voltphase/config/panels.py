"""The panel that is to show the layers: what it settles, and what it cannot show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voltphase.core.errors import ConfigError, VoltphaseError
from voltphase.core.units import metres
from voltphase.devices import Device
from voltphase.panels import Profile, load_profile
from voltphase.settings.fields import misfit

if TYPE_CHECKING:
    from voltphase.config.optics import OpticsConfig


def with_pitch_of_panel(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the section ``optics`` with the pitch that its panel settles, where it names one and gives no pitch."""
    name, pixels = values.get("panel"), values.get("panel_pixels", 1)
    if name is None and "panel_pixels" in values and pixels != 1:
        raise misfit(f"expected optics.panel beside optics.panel_pixels {pixels!r:.20}, but there is none")
    if not isinstance(name, str) or not isinstance(pixels, int) or pixels < 1 or "pitch" in values:
        return values
    try:
        return {**values, "pitch": _pitch(load_profile(name), pixels)}
    except VoltphaseError as error:
        raise misfit(f"optics.panel: {error}") from error


def check_panel(optics: OpticsConfig, devices: Sequence[Device]) -> None:
    """Refuse layers that the panel cannot show, if there is one.

    Args:
        optics: Section of the configuration.
        devices: Device of each layer.

    Raises:
        ConfigError: if there is no such panel, the pitch of a layer is not that of its pixels, a layer has more samples
            than fit on it, or control values of a device are no grey levels of it.
    """
    if optics.panel is None:
        return
    try:
        panel = load_profile(optics.panel)
    except ConfigError as error:
        raise ConfigError(f"optics.panel: {error}") from error
    pixels, pitch = optics.panel_pixels, _pitch(panel, optics.panel_pixels)
    rows, columns = (count // pixels for count in panel.shape)
    of_panel = f"{pixels} pixel{'s' if pixels > 1 else ''} of {panel.name}"
    for given in optics.pitches[1:-1]:
        if not all(math.isclose(one, pitch, rel_tol=1e-9) for one in given):
            got = f"{given[0]:g}" if given[0] == given[1] else f"[{given[0]:g}, {given[1]:g}]"
            raise ConfigError(
                f"expected optics.pitch {pitch:g} of the layers, {of_panel} of {metres(panel.pitch)}, but got "
                f"{got}: leave it out, or set another optics.panel_pixels"
            )
    for size in optics.sizes[1:-1]:
        if any(one > room for one, room in zip(sorted(size), sorted((rows, columns)), strict=True)):
            raise ConfigError(
                f"expected optics.size of the layers to be at most [{rows}, {columns}] or that turned, with {of_panel} "
                f"along each side of a sample and {panel.rows} x {panel.columns} of them, but got {list(size)}"
            )
    for device in devices:
        panel.require_control(device.control, device.control_unit, device.name, ConfigError)


def _pitch(panel: Profile, pixels: int) -> float:
    return float(f"{pixels * panel.pitch:.12g}")  # as it would be written: not 2.4000000000000003e-05
