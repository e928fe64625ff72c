"""What a logger is: where the figures, levels and pictures of a training's epochs go, for people to look at."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from voltphase.core.installed import needing_extras
from voltphase.core.registry import Registry

#: The last figure of an epoch, its number: an epoch of which a log holds it is there as a whole.
EPOCH: Final = "epoch"


@dataclass(frozen=True)
class RunToLog:
    """A run, as a logger is told of it.

    Attributes:
        name: Name of the run.
        folder: Run folder.
        settings: Settings of the experiment by their dotted names.
    """

    name: str
    folder: Path
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class EpochRecord:
    """What there is to log of an epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        figures: Figures by their names, such as ``train_loss`` and ``layer-1/changed_share``, :data:`EPOCH` the last.
        counts: By names such as ``layer-1/level_counts``, how many pixels are at each level, an array of whole numbers.
        pictures: Pictures by names such as ``layer-1/phase``, ``rows x columns x 3`` arrays of bytes.
    """

    epoch: int
    figures: Mapping[str, float]
    counts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class Log(ABC):
    """Where a logger has begun to write of a run.

    Whatever its methods raise ends the logger and not the training.
    """

    @property
    @abstractmethod
    def epochs(self) -> Collection[int]:
        """The epochs that it holds already, of a run that goes on; they are not logged again."""

    @abstractmethod
    def write(self, record: EpochRecord) -> None:
        """Log an epoch, so that it is kept if the process is killed next."""

    @abstractmethod
    def close(self, *, finished: bool) -> None:
        """End; ``finished`` says whether training came to its end."""


@dataclass(frozen=True)
class Logger(ABC):
    """Makes a run's epochs visible in a program for that.

    A logger is chosen by its name in ``training.loggers``. It is a frozen dataclass whose fields are its settings. What
    it writes into the run folder is in a folder there with its name, which is removed with the run.

    Args:
        pictures_every: Number of epochs from one picture of each layer to the next; the first epoch and the last one
            have some too. 0 for no pictures.

    Attributes:
        library: Module that it needs, which an extra may bring.
        chatter: Names of packages whose loggers (of Python's ``logging``) and threads are not to be heard meanwhile.
        environment: Variables of the environment that are set while it works, unless they are set already.
    """

    library: ClassVar[str]
    chatter: ClassVar[tuple[str, ...]] = ()
    environment: ClassVar[Mapping[str, str]] = {}

    pictures_every: Annotated[int, Ge(0)] = 10

    def require(self) -> None:
        """Import the library.

        Raises:
            MissingLibraryError: if it is not installed.
        """
        with needing_extras():
            importlib.import_module(self.library)

    @abstractmethod
    def open(self, run: RunToLog) -> Log:
        """Begin to log a run, or go on where its folder has something of this logger already."""

    @abstractmethod
    def how_to_look(self, run: RunToLog) -> str:
        """Return what a person is to do to see what is logged, such as a command."""


#: Every logger by the name a configuration gives it. Its parameters are its settings.
LOGGERS: Registry[Callable[..., Logger]] = Registry("a logger", "voltphase.loggers")
