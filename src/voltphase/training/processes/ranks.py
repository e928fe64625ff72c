"""What the processes that train one network tell one another; of a process that is alone, nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from torch import Tensor

T = TypeVar("T")


class Ranks:
    """The processes that train one network, as one of them sees them: this one, which is alone.

    Attributes:
        rank: Number of this process among all, from 0.
        count: Number of processes.
        local_rank: Number of this process among those of its machine, from 0.
        data_from_first: Whether images that are given in Python are given to the first process alone.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    data_from_first: bool = False

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and shows things."""
        return self.rank == 0

    def part(self, size: int) -> slice:
        """Return which of ``size`` things in a row are this process's: parts of all as even as can be, in order."""
        each, more = divmod(size, self.count)
        begin = self.rank * each + min(self.rank, more)
        return slice(begin, begin + each + (self.rank < more))

    def sum_over(self, tensors: Sequence[Tensor]) -> None:
        """Put into tensors the sums of those of all processes, which have the same shapes and one real type.

        Raises:
            VoltphaseError: as any of the methods below, what another process failed with.
            KeyboardInterrupt: likewise, if another was interrupted.
        """

    def gathered(self, value: T) -> list[T]:
        """Return the value of each process, in the order of their numbers."""
        return [value]

    def of_first(self, make: Callable[[], T]) -> T:
        """Return what ``make`` returns in the first process, which alone calls it."""
        return make()

    def about(self) -> dict[str, Any]:
        """Return what a run's summary says of the processes, where there are several."""
        return {}


#: A process that trains by itself.
ALONE: Final = Ranks()
