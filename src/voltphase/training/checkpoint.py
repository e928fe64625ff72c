"""The file that a run is resumed from, believed only if it is whole and of this very run."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from voltphase.config import Config
from voltphase.core.errors import ConfigError, DataError
from voltphase.core.files import reason_of
from voltphase.core.limits import require_memory
from voltphase.training.experiment import unlike

OURS: Final = "voltphase"
DIGESTS: Final = "digests"
_PARTS: Final = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "pytorch-lightning_version", OURS)
# Far more values than there are in a checkpoint beside its tensors. Lists within lists that are all the same list take
# next to no room in a file, and for ever to walk through.
_MOST_VALUES: Final = 1_000_000


def read_checkpoint(path: Path, config: Config) -> dict[str, Any]:
    """Return the checkpoint in a file, after finding that it is whole and belongs to a run of a configuration.

    Nothing in the file is executed, and nothing is expanded beyond the file's own size.

    Raises:
        DataError: if the file cannot be read, is not a checkpoint, or a part of it is missing or was altered; it is
            named.
        ConfigError: if it is the checkpoint of another experiment.
        TrainingError: if its parameters are not finite.
    """
    content = _read(path)
    digests = content.pop(DIGESTS, None)
    for name in _PARTS:
        if name not in content or not isinstance(digests, dict) or name not in digests:
            raise _refused(path, f"{name if name not in content else 'the digest of ' + name} is missing")
    try:
        altered = [name for name, part in content.items() if digest_of(part) != digests.get(name)]
    except Exception as error:  # an object of its own kind, nested without end, larger than the file
        raise _refused(path, "it is damaged") from error
    if altered:
        raise _refused(path, f"{altered[0]} is not what was saved")
    for name, now, then in unlike(config, content[OURS]["settings"]):
        raise ConfigError(
            f"expected the checkpoint {path} to be of this run, but it was written with {name} {then!r} instead of "
            f"{now!r}: put the run's own back, or start again with --overwrite"
        )
    return content


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise _refused(path, "it is no regular file" if os.path.lexists(path) else "it is missing")
        size = path.stat().st_size
        require_memory(
            2 * size, f"resuming from the checkpoint {path}", DataError, "free some, or start again with --overwrite"
        )
        with zipfile.ZipFile(path) as archive:
            # As torch.save leaves it: what is compressed could be of any size.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise _refused(path, "it is damaged")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
    except OSError as error:
        raise _refused(path, f"it cannot be read ({reason_of(error)})") from error
    except Exception as error:
        raise _refused(path, "it is damaged") from error
    if not isinstance(content, dict):
        raise _refused(path, "it is damaged")
    return content


def _refused(path: Path, reason: str) -> DataError:
    return DataError(f"expected a checkpoint to resume from in {path}, but {reason}: start again with --overwrite")


def digest_of(content: Any) -> str:
    """Return the SHA-256 of nested dicts, lists and tensors, in the order in which they are.

    Raises:
        ValueError: if there are more values than in any checkpoint, or a tensor larger than what is stored of it.
        TypeError: if there is anything else.
    """
    digest, values = hashlib.sha256(), 0

    def add(value: Any) -> None:
        nonlocal values
        values += 1
        if values > _MOST_VALUES:
            raise ValueError(f"expected at most {_MOST_VALUES} values in a checkpoint")
        if isinstance(value, Tensor):
            # A tensor may be said to repeat what is stored once.
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise ValueError("expected a tensor of values of its own")
            digest.update(f"tensor {value.dtype} {tuple(value.shape)} ".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(value, dict):
            digest.update(f"dict {len(value)} ".encode())
            for key, item in value.items():
                add(key)
                add(item)
        elif isinstance(value, list | tuple):
            digest.update(f"list {len(value)} ".encode())
            for item in value:
                add(item)
        elif value is None or isinstance(value, bool | int | float | str):
            digest.update(f"{type(value).__name__} {value!r} ".encode("utf-8", "surrogatepass"))
        else:
            raise TypeError(f"expected numbers, texts and tensors in a checkpoint, but got {type(value)}")

    add(content)
    return digest.hexdigest()
