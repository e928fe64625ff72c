"""The errors of voltphase, each one sentence: what was expected, what was given, and what to do."""

from __future__ import annotations


class VoltphaseError(Exception):
    """Base of every error that a user of voltphase can cause and correct.

    Examples:
        >>> import voltphase as vp
        >>> try:
        ...     vp.Grid(200, pitch=36)
        ... except vp.VoltphaseError as error:
        ...     print(error)
        expected a pitch in metres, at most 0.1 m, but got 36: 36 µm is 3.6e-05
    """


class VoltphaseWarning(UserWarning):
    """Base of every warning: something that looks wrong, but is used as it is.

    The command line prints it as one line that begins with "warning:".
    """


class GeometryError(VoltphaseError):
    """Grids, distances, regions or shapes that cannot exist or do not fit together."""


class SamplingError(GeometryError):
    """A propagation method outside the range in which its sampled kernel is accurate."""


class DeviceError(VoltphaseError):
    """A device table that is missing, malformed or does not fit."""


class ConfigError(VoltphaseError):
    """A configuration key or value that does not exist or does not fit."""


class DataError(VoltphaseError):
    """A data set that is missing, damaged or cannot be downloaded."""


class TrainingError(VoltphaseError):
    """Training that fails: no light to learn from, or non-finite numbers."""


class LostProcessError(TrainingError):
    """One of several processes that train together, which has ended without a word."""


class OutputError(VoltphaseError):
    """A place to write results that exists already or cannot be written."""


class FolderInUseError(OutputError):
    """A run folder that another process is training into."""


class DeploymentError(VoltphaseError):
    """A deployed folder that is incomplete or contradicts itself."""


class MissingLibraryError(VoltphaseError, ModuleNotFoundError):
    """A library that is not installed, because the light distribution leaves it to an extra."""
