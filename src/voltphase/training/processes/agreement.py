"""What several processes must agree on, or come to different designs without a word."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import torch

from voltphase.core.errors import ConfigError, TrainingError
from voltphase.data import ImageDataset
from voltphase.network.donn import DONN
from voltphase.training.processes.ranks import Ranks

# Images that stand for all of them: to read those of a large data set may take long.
_LOOKED_AT: Final = 256


def require_alike(ranks: Ranks, about: Mapping[str, Any], datasets: Mapping[str, ImageDataset]) -> None:
    """Refuse processes with different settings, devices or images, before anything is written.

    Args:
        ranks: The processes.
        about: What each is to be alike in, by words for a sentence; of devices only what is from files.
        datasets: Images of each split.

    Raises:
        ConfigError: if something is not the same in all of them.
    """
    if ranks.count == 1:
        return
    own = {**about, **{f"{split} images": _digest(dataset) for split, dataset in datasets.items()}}
    for rank, other in enumerate(ranks.gathered(own)):
        if differing := [what for what in own if other.get(what) != own[what]]:
            raise ConfigError(
                f"expected processes that train together to have the same {differing[0]}, but process {rank} has "
                f"others than process {ranks.rank}: give all the same command, files and data"
            )


def require_same_design(model: DONN, ranks: Ranks) -> None:
    """Refuse to go on where processes have come to different parameters, as on machines that compute differently.

    Raises:
        TrainingError: if they have.
    """
    if ranks.count == 1:
        return
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    if len(set(ranks.gathered(digest.hexdigest()))) > 1:
        raise TrainingError(
            "expected the same design in every process, but they differ after the last epoch: train on machines that "
            "are alike; the epochs before are kept"
        )


def _digest(dataset: ImageDataset) -> tuple[int, str]:
    count = len(dataset)
    chosen = torch.linspace(0, count - 1, min(count, _LOOKED_AT)).long()
    digest = hashlib.sha256()
    for tensor in dataset[chosen]:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return count, digest.hexdigest()
