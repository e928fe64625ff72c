"""The panel that a run was trained for, against the one that it is deployed to."""

from __future__ import annotations

from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, DeploymentError, VoltphaseWarning
from voltphase.deployment.targets.base import Target
from voltphase.deployment.targets.panel.target import Panel
from voltphase.panels import load_profile


class PanelWarning(VoltphaseWarning):
    """A design goes to another panel than it was trained for."""


def check_panel_of_run(name: str | None, target: Target) -> None:
    """Refuse a panel whose grey levels are others than those a run was trained for; warn of any other panel.

    Args:
        name: Panel of the run, ``optics.panel``; None where it names none.
        target: What the run is deployed to.

    Raises:
        DeploymentError: if grey levels of the two panels have different numbers of bits.
    """
    if name is None or not isinstance(target, Panel):
        return
    asked = target.panel
    try:
        trained = load_profile(name)
    except ConfigError:
        if str(target.profile) != name:  # a file that lies elsewhere, or is gone
            advise(
                f"the run was trained for the panel of {name}, which is not here to compare with {asked.name}: make "
                f"sure that the same grey levels are the same states on {asked.name}",
                PanelWarning,
            )
        return
    if trained.bits != asked.bits:
        raise DeploymentError(
            f"expected a panel of {trained.bits} bits such as {trained.name}, which the run was trained for "
            f"(optics.panel), but {asked.name} has {asked.bits}, so its grey levels are other voltages: train with "
            f"optics.panel={asked.name} and a device measured on it"
        )
    if trained.name != asked.name:
        advise(
            f"the run was trained for {trained.name} and is deployed to {asked.name}: its answers hold only if the "
            "same grey levels are the same states there",
            PanelWarning,
        )
