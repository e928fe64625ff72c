"""Which process of a training this one is: as its own options say, and whoever started so many says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from voltphase.config import TrainingConfig
from voltphase.core.errors import ConfigError


@dataclass(frozen=True)
class Place:
    """The place of one process among those of a training.

    Attributes:
        rank: Number of the process among all, from 0.
        count: Number of processes.
        local_rank: Number of the process among those of its machine, from 0.
        nodes: Number of machines.
        address: Address of the first process.
        port: Port at which the first process is found.
        by: What started the processes: ``"torchrun"``, ``"srun"`` or ``"voltphase"``.
    """

    rank: int
    count: int
    local_rank: int
    nodes: int
    address: str
    port: int
    by: str

    @classmethod
    def started_by_first(cls, rank: int, count: int, address: str, port: int) -> Place:
        """Return a place among processes that the first of them has started, on its machine."""
        return cls(rank, count, rank, 1, address, port, "voltphase")

    @property
    def started_here(self) -> bool:
        """Whether the first process has started the others."""
        return self.by == "voltphase"


def process_count(training: TrainingConfig) -> int:
    """Return how many processes a training asks for."""
    return training.devices * training.nodes


def place_of(training: TrainingConfig, environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return the place of this process among those that torchrun or srun have started; None if nobody has.

    Variables count only where a training asks for several processes. So nothing that is left there by somebody else
    makes several of one.

    Args:
        training: Options of the training.
        environment: Environment of the process.

    Raises:
        ConfigError: if another number of processes was started, or nobody has started those of several machines.
    """
    count = process_count(training)
    if count == 1:
        return None
    try:
        place = _of_torchrun(training, environment) or _of_srun(training, environment)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"expected variables as torchrun or srun set them for {count} processes, but got {error}: start with one "
            "of these, or without any, with training.nodes 1"
        ) from error
    if place is not None and place.count != count:
        raise ConfigError(
            f"expected {count} processes, training.devices {training.devices} on each of training.nodes "
            f"{training.nodes}, but {place.by} has started {place.count}: set training.devices to how many it starts "
            "on a machine, and training.nodes to the number of machines"
        )
    if place is None and training.nodes > 1:
        raise ConfigError(
            f"expected torchrun or srun to start {training.devices} processes on each of {training.nodes} machines for "
            "training.nodes, but neither has: start with one of them, or set training.nodes to 1"
        )
    return place


def _of_torchrun(training: TrainingConfig, found: Mapping[str, str]) -> Place | None:
    if "TORCHELASTIC_RUN_ID" not in found:
        return None
    rank, count, local_rank = (int(found[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    address, port = found["MASTER_ADDR"], int(found["MASTER_PORT"])
    return Place(rank, count, local_rank, training.nodes, address, port, "torchrun")


def _of_srun(training: TrainingConfig, found: Mapping[str, str]) -> Place | None:
    # A batch script has most of the variables too, and in a step of one task it is this process that starts others.
    count = int(found.get("SLURM_STEP_NUM_TASKS", "1"))
    if count == 1:
        return None
    rank, local_rank = (int(found[name]) for name in ("SLURM_PROCID", "SLURM_LOCALID"))
    job, step = (int(found[name]) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    # Steps of one job, and jobs on one machine, are to meet at ports of their own.
    port = int(found.get("MASTER_PORT", 15_000 + (8 * job + step) % 16_000))
    return Place(rank, count, local_rank, training.nodes, _first_host(found["SLURM_STEP_NODELIST"]), port, "srun")


def _first_host(hosts: str) -> str:
    """Return the first of hosts as SLURM writes them, such as ``node[03-05,9],login``."""
    name, bracket, rest = hosts.partition(",")[0].partition("[")
    if not bracket:
        return name
    return name + rest.partition("]")[0].partition("-")[0]
