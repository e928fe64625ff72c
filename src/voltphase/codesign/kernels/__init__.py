"""Kernels of the choice of states for GPUs, written in Triton: import a file of this folder only where Triton is."""

from __future__ import annotations
