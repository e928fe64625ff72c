"""The back end for CUDA GPUs, registered as ``cuda``."""

from __future__ import annotations

import math

import torch

from voltphase.core.dtypes import with_standard_torch
from voltphase.core.installed import triton_obstacle
from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options
from voltphase.optics.backends.cuda.hops import alternate, multiplications
from voltphase.optics.stack import Stack

# Nanoseconds on an H200, from what was measured at 200 x 200 with batches of 500: a complex multiply-add in a matrix
# product (2e9 of them in 0.456 ms, 0.201 ms with TF32), and a number of a field for what lies between two products, on
# the way there (2e7 in 0.123 ms) and back (0.215 ms). An H100 has the same arithmetic and slower memory.
PER_MULTIPLICATION = {False: 0.228e-3, True: 0.1e-3}
PER_NUMBER, PER_NUMBER_BACK = 6.2e-3, 10.8e-3


@BACKENDS.register("cuda")
class CudaBackend(Backend):
    """Matrix products of even and odd parts of the whole batch, and one fused kernel between two of them."""

    def obstacle(self, stack: Stack, options: Options) -> str | None:
        missing, on_gpu = triton_obstacle(options.device), options.device == "cuda"
        if missing and not on_gpu:
            return missing
        if options.dtype != torch.complex64:
            return "its kernels are in single precision"
        if options.engine == "fft":
            return "it applies kernels by matrix products alone"
        if not alternate(stack):
            return "it has no map for kernels that are neither separable nor diagonal"
        # Last, so that nobody is told to install what would not help.
        return missing or (_unfit() if on_gpu else None)

    def cost(self, stack: Stack, options: Options) -> float:
        found = alternate(stack)
        if options.device != "cuda" or found is None:
            return math.inf  # interpreted, which is for tests
        hops, _ = found
        work = [multiplications(hop) for hop in hops]
        arrive = [math.prod(hop.target_shape) for hop in hops]
        # The first hop is not crossed on the way back.
        return PER_MULTIPLICATION[options.tf32] * (sum(work) + sum(work[1:])) + (
            PER_NUMBER * sum(arrive) + PER_NUMBER_BACK * sum(arrive[:-1])
        )

    @with_standard_torch
    def compile(self, stack: Stack, options: Options) -> Executor:
        from voltphase.optics.backends.cuda.executor import CudaExecutor  # here: it needs Triton

        found = alternate(stack)
        assert found is not None
        return CudaExecutor(stack, options, *found)


def _unfit() -> str | None:
    """Return why its kernels do not run on the GPU that is there, if one is."""
    if torch.version.hip is not None:
        return "its kernels have not been tried on AMD's GPUs"
    if torch.cuda.is_available() and (capability := torch.cuda.get_device_capability()) < (8, 0):
        return f"its kernels need compute capability 8.0, but the GPU has {capability[0]}.{capability[1]}"
    return None
