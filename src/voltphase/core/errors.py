"""The errors voltphase raises when it is given something it cannot work with.

Each carries one sentence that says what was expected, what came, and what to do.
"""

from __future__ import annotations


class VoltphaseError(Exception):
    """Base of every error a user of voltphase can cause and mend."""


class VoltphaseWarning(UserWarning):
    """Base of every warning: advice about something that was given and will be used as it is.

    In Python it is an ordinary warning; the command line prints it as one line that begins with "warning:".
    """


class GeometryError(VoltphaseError):
    """Grids, distances, regions or shapes that cannot exist or do not fit together."""


class SamplingError(GeometryError):
    """A propagation method asked for outside the range in which its sampled kernel is right."""


class DeviceError(VoltphaseError):
    """A device table that is missing, malformed or cannot be used as asked."""


class ConfigError(VoltphaseError):
    """A configuration key or value that does not exist or does not fit."""


class DataError(VoltphaseError):
    """A data set that is missing, damaged or cannot be had."""


class TrainingError(VoltphaseError):
    """A training that comes to nothing: no light to learn from, or numbers that are finite no longer."""


class OutputError(VoltphaseError):
    """A place to write results that exists already or cannot be written."""


class DeploymentError(VoltphaseError):
    """A deployed folder that is incomplete or contradicts itself."""


class MissingLibraryError(VoltphaseError, ModuleNotFoundError):
    """A library that is not installed, because the light distribution leaves it to an extra."""
