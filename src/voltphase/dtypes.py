"""Modules whose dtype is settled when they are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn

from voltphase.errors import ConfigError


class FixedDtype(nn.Module):
    """A module that moves between devices and keeps the dtype it was made with.

    A cast would round again what was rounded once, and take the phase from whatever is complex.

    Raises:
        ConfigError: from ``.to(dtype)``, ``.double()`` and the like, if a parameter or buffer would get another dtype.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def checked(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            if result.dtype != tensor.dtype:
                raise ConfigError(
                    f"expected {type(self).__name__} to keep the dtype it was made with, but got a cast from "
                    f"{tensor.dtype} to {result.dtype}: make it, or the network it is in, with dtype=..."
                )
            return result

        return super()._apply(checked, recurse)
