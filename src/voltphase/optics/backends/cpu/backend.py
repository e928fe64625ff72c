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
        return missing(stack, options.engine)

    def cost(self, stack: Stack, options: Options) -> float:
        return make_plan(stack, options.engine).work.nanoseconds

    @with_standard_torch
    def compile(self, stack: Stack, options: Options) -> Executor:
        return CpuExecutor(stack, options, make_plan(stack, options.engine))
