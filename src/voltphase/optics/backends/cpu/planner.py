"""Which hops take light through a row of kernels at the least cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import NamedTuple, get_args

import torch

from voltphase.core import checks
from voltphase.core.errors import GeometryError
from voltphase.optics.backends.base import Engine
from voltphase.optics.backends.cpu.fourier import Chain, ToeplitzHop, Transfer, TransferHop, is_toeplitz
from voltphase.optics.backends.cpu.matrix import Hop, Kernel, MatrixHop
from voltphase.optics.backends.cpu.mirrored import is_centrosymmetric
from voltphase.optics.precision import require_complex

# Several kernels in a list follow straight upon one another.
Step = Kernel | Transfer | list[Kernel | Transfer]


class Plan(NamedTuple):
    """Hops there, and their transposes back.

    Attributes:
        hops: One for each step.
        adjoints: The transpose (not conjugated) of each.
        cost: Estimated nanoseconds per image, forward and backward, on one core.
    """

    hops: list[Hop]
    adjoints: list[Hop]
    cost: float


def make_plan(steps: Sequence[Step], dtype: torch.dtype, engine: Engine) -> Plan:
    """Hops for ``steps``.

    Args:
        steps: Kernels in the order light meets them.
        dtype: Complex type to compute in.
        engine: ``"matrix"``: matrices for all kernels that are pairs; ``"fft"``: transforms for all whose pairs are
            Toeplitz; ``"auto"``: what is estimated to cost least. A :class:`Transfer` is always done by transforms.

    Raises:
        ConfigError: for an unknown engine or a dtype that is not complex.
        GeometryError: if the kernels do not fit one another.
    """
    require_complex(dtype)
    checks.word(engine, "an engine", get_args(Engine))
    chains = [step if isinstance(step, list) else [step] for step in steps]
    if not all(chains):
        raise GeometryError("expected at least one kernel from each plane to the next, but got an empty list")
    _check([_checked(kernel) for chain in chains for kernel in chain])
    if engine == "matrix":
        return _with_matrices(chains, dtype)
    if engine == "fft":
        return _with_transforms(chains, dtype, whenever_possible=True)
    choices = (_with_matrices(chains, dtype), _with_transforms(chains, dtype, whenever_possible=False))
    return min(choices, key=lambda plan: plan.cost)


def joined(kernel: Kernel | Transfer, following: Kernel | Transfer) -> Step:
    """Two kernels straight upon one another as one step: one pair of matrices where both are pairs."""
    if isinstance(kernel, Transfer) or isinstance(following, Transfer):
        return [kernel, following]
    return following[0] @ kernel[0], following[1] @ kernel[1]


def shapes(kernel: Kernel | Transfer) -> tuple[tuple[int, int], tuple[int, int]]:
    """(rows, columns) of the planes a kernel starts from and leads to."""
    if isinstance(kernel, Transfer):
        return kernel.source, kernel.target
    rows, columns = kernel
    return (rows.shape[1], columns.shape[1]), (rows.shape[0], columns.shape[0])


def _checked(kernel: object) -> Kernel | Transfer:
    if isinstance(kernel, Transfer):
        return kernel
    pair = checks.items(kernel, "a kernel as a pair of matrices (Ky, Kx) or a Transfer", error=GeometryError)
    if len(pair) != 2 or not all(isinstance(one, torch.Tensor) and one.ndim == 2 and one.numel() for one in pair):
        raise GeometryError(
            f"expected a kernel as a pair of matrices (Ky, Kx) or a Transfer, but got {checks.shown(kernel)}"
        )
    return pair[0], pair[1]


def _check(kernels: list[Kernel | Transfer]) -> None:
    for index, (kernel, following) in enumerate(pairwise(kernels)):
        arrives, starts = shapes(kernel)[1], shapes(following)[0]
        if arrives != starts:
            raise GeometryError(
                f"expected kernel {index + 1} to start from the plane that kernel {index} leads to, "
                f"{arrives[0]} x {arrives[1]}, but it starts from {starts[0]} x {starts[1]}"
            )


def _with_matrices(chains: list[list[Kernel | Transfer]], dtype: torch.dtype) -> Plan:
    pairs = [kernel for chain in chains for kernel in chain if not isinstance(kernel, Transfer)]
    # Transforms want natural order.
    some_transfer = len(pairs) < sum(map(len, chains))
    mirrored = (
        not some_transfer and any(is_centrosymmetric(rows) for rows, _ in pairs),
        not some_transfer and any(is_centrosymmetric(columns) for _, columns in pairs),
    )
    return _assemble(chains, lambda kernel, turned: _matrices(kernel, mirrored, dtype, turned), dtype)


def _with_transforms(chains: list[list[Kernel | Transfer]], dtype: torch.dtype, *, whenever_possible: bool) -> Plan:
    def choose(kernel: Kernel, turned: bool) -> _There:
        matrices = _matrices(kernel, (False, False), dtype, turned)
        if not all(is_toeplitz(matrix) for matrix in kernel):
            return matrices
        rows, columns = kernel
        transforms = (
            ToeplitzHop(kernel, dtype=dtype, turned=turned),
            ToeplitzHop((columns.mT, rows.mT), dtype=dtype, turned=not turned),
        )
        return transforms if whenever_possible or transforms[0].cost < matrices[0].cost else matrices

    return _assemble(chains, choose, dtype)


# A hop and its transpose.
_There = tuple[Hop, Hop]


def _matrices(kernel: Kernel, mirrored: tuple[bool, bool], dtype: torch.dtype, turned: bool) -> _There:
    rows, columns = kernel
    return (
        MatrixHop(kernel, mirrored=mirrored, dtype=dtype, turned=turned),
        MatrixHop((rows.mT, columns.mT), mirrored=mirrored, dtype=dtype, turned=turned),
    )


def _assemble(
    chains: list[list[Kernel | Transfer]], separable: Callable[[Kernel, bool], _There], dtype: torch.dtype
) -> Plan:
    hops, adjoints = [], []
    turned = False
    for chain in chains:
        links: list[_There] = []
        for kernel in chain:
            if isinstance(kernel, Transfer):
                held = kernel.turned() if turned else kernel
                links.append(
                    (
                        TransferHop(held, dtype=dtype, turned=turned),
                        TransferHop(held.transposed(), dtype=dtype, turned=turned),
                    )
                )
            else:
                rows, columns = kernel
                links.append(separable((columns, rows) if turned else kernel, turned))
                turned = links[-1][0].target.turned
        hops.append(reduce(Chain, (hop for hop, _ in links)))
        adjoints.append(reduce(Chain, (adjoint for _, adjoint in reversed(links))))
    # The first adjoint is needed for gradients of images alone.
    return Plan(hops, adjoints, sum(hop.cost for hop in (*hops, *adjoints[1:])))
