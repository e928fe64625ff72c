"""Back ends: what runs a stack of kernels and modulations."""

from __future__ import annotations

from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options
from voltphase.optics.backends.cpu.backend import CpuBackend
from voltphase.optics.backends.cuda.backend import CudaBackend
from voltphase.optics.backends.reference import Reference

__all__ = ["BACKENDS", "Backend", "CpuBackend", "CudaBackend", "Executor", "Options", "Reference"]
