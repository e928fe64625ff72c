"""What a relaxation is: a differentiable stand-in for the choice of one device state per pixel.

A relaxation says what is learned for each pixel (its *design*: a score for each level, say), how a design becomes the
modulation that light sees in training, and which level it stands for. In evaluation light sees the states of these
levels and nothing else, unless the relaxation says that it is not `discrete`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from voltphase.codesign.relaxations.sample_states import Mix, argmax_levels
from voltphase.codesign.state_table import StateTable
from voltphase.core.dtypes import exact_linear
from voltphase.core.registry import Registry


class Relaxation(ABC):
    """A map from what is learned for each pixel to the modulation used in training, and to a level.

    Attributes:
        discrete: Whether a design stands for levels. If not, evaluation sees the modulation of training, and nothing
            can be deployed.
    """

    discrete: ClassVar[bool] = True

    def initial(self, table: StateTable, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Return a design to start from, a real ``numbers x rows x columns`` tensor: here scores of unit variance.

        Args:
            table: The device's states.
            shape: (rows, columns) of pixels.
            generator: Random generator on the CPU.
        """
        return torch.randn((len(table), *shape), generator=generator, dtype=table.amplitude.dtype, device="cpu")

    @abstractmethod
    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the differentiable modulation of a plane.

        Args:
            design: A real ``numbers x rows x columns`` tensor, here a score for each level.
            table: The device's states.
            temperature: Softness of the choice, above zero: a number or, in training on a GPU, a real tensor without
                axes that holds it, which is to be computed with and not read.
            generator: Random generator on the device of ``design``.

        Returns:
            A complex ``rows x columns`` tensor; at several wavelengths with a first axis of these, all of one draw or
            of one set of weights, see :meth:`StateTable.over`.

        Raises:
            ConfigError: if the temperature is not a number above zero.
        """

    def chosen_levels(self, design: Tensor, table: StateTable) -> Tensor:
        """Return the level each pixel stands for, an int64 ``rows x columns`` tensor: here that of its highest score.

        Args:
            design: A real ``numbers x rows x columns`` tensor, here a score for each level.
            table: The device's states.
        """
        return argmax_levels(design)

    def lr_unit(self, table: StateTable) -> float:
        """Return the unit of a learning rate in a design's own units: here 1, as scores do not depend on the table.

        Args:
            table: The device's states.
        """
        return 1.0

    def design_for(self, levels: Tensor, table: StateTable) -> Tensor:
        """Return a design that stands for the given levels, or others of the same states; NaN where none is known.

        Args:
            levels: An int64 ``rows x columns`` tensor.
            table: The device's states.
        """
        design = torch.zeros((len(table), *levels.shape), dtype=table.amplitude.dtype, device=levels.device)
        return design.scatter_(0, levels[None], 1.0)


#: Every relaxation by the name a configuration gives it. A class's parameters are its settings.
RELAXATIONS: Registry[type[Relaxation]] = Registry("a relaxation", "voltphase.relaxations", kind=Relaxation)


def weighted_sums(rows: Tensor, terms: Tensor) -> Tensor:
    """Return sums over the first axis of ``terms`` with each row of constants as weights, never in reduced precision.

    Args:
        rows: Constants, ``sums x terms``.
        terms: A ``terms x rows x columns`` tensor of the same dtype.
    """
    sums = exact_linear(
        lambda terms: torch.bmm(rows[None], terms[None])[0],
        lambda sums: torch.bmm(rows.mH[None], sums[None])[0],
        terms.flatten(1),
    )
    return sums.view(-1, *terms.shape[1:])


def mixed(weights: Tensor, table: StateTable, mix: Mix) -> Tensor:
    """Return the mix of all states under ``levels x rows x columns`` weights, complex or of amplitudes and phases.

    Where there are several wavelengths, the mixes under the same weights at each are along a first axis.
    """
    return table.over(lambda one: _mixed(weights, one, mix))


def _mixed(weights: Tensor, table: StateTable, mix: Mix) -> Tensor:
    if mix == "complex":
        return weighted_sums(table.values[None], weights.to(table.values.dtype))[0]
    amplitude, phase = (weighted_sums(column[None], weights)[0] for column in (table.amplitude, table.phase))
    # torch.polar knows no slope of the amplitude where that is zero: there it is added, to a value that stays zero.
    dark = amplitude < torch.finfo(amplitude.dtype).tiny
    lit = torch.polar(torch.where(dark, 0, amplitude), phase)
    return lit + torch.where(dark, amplitude, 0) * torch.polar(torch.ones_like(phase), phase)
