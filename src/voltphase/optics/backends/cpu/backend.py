"""The back end for CPUs, registered as ``cpu``."""

from __future__ import annotations

from voltphase.core.dtypes import with_standard_torch
from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options
from voltphase.optics.backends.cpu.executor import CpuExecutor
from voltphase.optics.backends.cpu.planner import make_plan, missing
from voltphase.optics.stack import Stack


@BACKENDS.register("cpu")
class CpuBackend(Backend):
    """Matrix products of even and odd parts, and Fourier transforms, in micro-batches that stay in the caches."""

    def obstacle(self, stack: Stack, options: Options) -> str | None:
        """Return why it cannot run a stack, as the part of a sentence after "because", or None if it can.

        Args:
            stack: Kernels between the planes.
            options: Precision and engine.
        """
        return missing(stack, options.engine)

    def cost(self, stack: Stack, options: Options) -> float:
        """Return the estimated nanoseconds for one image, forward and backward, on one core; from shapes alone.

        Args:
            stack: Kernels between the planes, which it can run.
            options: Precision and engine.
        """
        return make_plan(stack, options.engine).cost

    @with_standard_torch
    def compile(self, stack: Stack, options: Options) -> Executor:
        """Return what runs a stack.

        Args:
            stack: Kernels between the planes, which it can run.
            options: Precision and engine.
        """
        return CpuExecutor(stack, options, make_plan(stack, options.engine))
