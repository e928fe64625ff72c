"""Which runs of a sweep a GPU trains together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Final

from voltphase.core.errors import VoltphaseError
from voltphase.sweeps.runs import Run
from voltphase.training.processes import process_count
from voltphase.training.processes.machine import accelerator_of

# Samples of a batch's fields on one plane that fill a GPU: those of 500 images at 200 x 200. Of 64 x 64 there is room
# for nine.
_FULL: Final = 500 * 200 * 200
# Those that end together: more of them would keep the first results waiting, and each takes memory of its own.
_MOST: Final = 8


def companions(run: Run, others: Iterable[Run]) -> list[Run]:
    """Return which other runs to train together with one: none on a CPU, or if it fills a GPU by itself.

    They have its sizes, depth, batches, epochs and data, so that none waits for another for long.
    """
    shape = _shape(run)
    if shape is None:
        return []
    optics, batch_size = run.config.optics, run.config.training.batch_size
    room = min(_MOST, _FULL // (batch_size * max(map(math.prod, optics.sizes)))) - 1
    found: dict[str, Run] = {}
    for other in others:
        if len(found) >= room:
            break
        if _shape(other) == shape and other.digest != run.digest:
            found.setdefault(other.digest, other)
    return list(found.values())


def _shape(run: Run) -> str | None:
    """Return what runs that are trained together have in common; None for one that is trained by itself."""
    try:
        config, digest = run.config, run.digest
        alone = run.own_process or process_count(config.training) > 1
        if alone or not digest or accelerator_of(config) != "cuda":
            return None
    except VoltphaseError:  # which is for whoever trains it to say
        return None
    optics, training = config.optics, config.training
    common = [optics.sizes, optics.depth, optics.method, optics.precision, optics.backend, config.data.model_dump()]
    how = [training.batch_size, training.accumulate, training.epochs, training.threads, training.accelerator]
    return json.dumps([*common, optics.networks.model_dump(), len(optics.detectors.distances), *how])
