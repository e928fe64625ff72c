"""What a process does that another has started to train with it."""

from __future__ import annotations

import os
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any

from voltphase.config import Config
from voltphase.core.errors import VoltphaseError
from voltphase.training.processes.machine import accelerator_of
from voltphase.training.processes.place import Place, process_count
from voltphase.training.processes.start import taking_part
from voltphase.training.processes.stores import LOCAL, open_store
from voltphase.training.run import train_as


def work(call: dict[str, Any]) -> None:
    """Take part in a training, without a word: the first process is told what fails, and says it.

    Args:
        call: What to train, and as which process.
    """
    threading.Thread(target=_end_with_first, daemon=True).start()
    warnings.simplefilter("ignore")
    code = 0
    try:
        config = Config.model_validate(call["config"])
        place = Place.started_by_first(call["rank"], process_count(config.training), LOCAL, call["port"])
        with taking_part(place, open_store(place), accelerator_of(config) == "cuda") as group:
            train_as(group, config, Path(call["out"]), resume=call["resume"], overwrite=call["overwrite"])
    except (VoltphaseError, KeyboardInterrupt):
        code = 2
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    os._exit(code)


def _end_with_first() -> None:
    sys.stdin.buffer.read()
    os._exit(2)
