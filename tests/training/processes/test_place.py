"""Which process of a training this is, from its own options and what torchrun or srun says."""

from __future__ import annotations

import pytest

from voltphase.config import TrainingConfig
from voltphase.core.errors import ConfigError
from voltphase.training.processes.place import Place, place_of

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_JOB_ID": "1000",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NODELIST": "gpu[07-08],login",
}
# What a batch script finds, whose processes srun has yet to start.
SBATCH = {"SLURM_JOB_ID": "1000", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


def test_a_training_of_one_process_reads_nothing() -> None:
    strange = {"RANK": "x", "WORLD_SIZE": "-1", "SLURM_PROCID": "three", "SLURM_STEP_NUM_TASKS": "4"}
    assert place_of(TrainingConfig(), TORCHRUN | SRUN | strange) is None


def test_processes_of_torchrun_and_srun_know_their_place() -> None:
    several = TrainingConfig(devices=2, nodes=2)
    assert place_of(several, TORCHRUN | SBATCH) == Place(3, 4, 1, 2, "node1", 29500, "torchrun")
    assert place_of(several, SRUN) == Place(2, 4, 0, 2, "gpu07", 15_000 + 8_002, "srun")
    assert place_of(several, SRUN | {"SLURM_STEP_NODELIST": "a-1,a-2", "MASTER_PORT": "4"}) == Place(
        2, 4, 0, 2, "a-1", 4, "srun"
    )


def test_who_is_started_by_nobody_starts_the_others() -> None:
    several = TrainingConfig(devices=4)
    for environment in ({}, SBATCH, SRUN | {"SLURM_STEP_NUM_TASKS": "1"}, {"WORLD_SIZE": "2", "RANK": "1"}):
        assert place_of(several, environment) is None


@pytest.mark.parametrize(
    ("training", "environment", "sentence"),
    [
        (TrainingConfig(devices=3), TORCHRUN, r"expected 3 processes, .*torchrun has started 4"),
        (TrainingConfig(devices=2), SRUN, r"expected 2 processes, .*srun has started 4"),
        (TrainingConfig(nodes=2), SBATCH, r"expected torchrun or srun to start 1 processes on each of 2 machines"),
        (TrainingConfig(devices=4), {"TORCHELASTIC_RUN_ID": "1", "RANK": "x"}, r"expected variables as torchrun"),
    ],
)
def test_another_number_of_processes_is_one_sentence(
    training: TrainingConfig, environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        place_of(training, environment)
