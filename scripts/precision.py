"""How far reduced precision is off: light through five layers against the same in complex128.

    python scripts/precision.py [--size 200] [--batch 16] [--json FILE]

Rounds what every matrix product multiplies to the 10 bits of TF32, and adds in single precision, as tensor cores do;
without a GPU that is imitated. Errors are of the light each detector region receives, relative to the largest, and of
the gradient of their sum with respect to the modulations, relative in the 2-norm.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import voltphase as vp
from voltphase.core.dtypes import matrix_products
from voltphase.core.files import write_json
from voltphase.training.provenance import hardware, versions
from voltphase.validation.comparison import relative, worst

# Whether products may round; the fused kernels of the back end for GPUs know three ways.
PRECISIONS = {"single": False, "tf32": True, "fused ieee": False, "fused tf32x3": False, "fused tf32": True}
PRODUCTS = {"mm", "bmm", "addmm", "addmm_"}


class ImitatedTF32(TorchDispatchMode):
    """Rounds the factors of every matrix product to 10 bits after the leading one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            args = (*args[:-2], *(rounded(factor) for factor in args[-2:]))
        return func(*args, **(kwargs or {}))


def rounded(factor: Tensor) -> Tensor:
    """The nearest numbers of 10 bits after the leading one; real and imaginary parts each."""
    parts = torch.view_as_real(factor.resolve_conj()) if factor.is_complex() else factor
    bits = parts.contiguous().view(torch.int32)
    kept = ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)
    return torch.view_as_complex(kept) if factor.is_complex() else kept


@contextmanager
def reduced(device: torch.device) -> Iterator[None]:
    """TF32 by the GPU, or imitated."""
    with matrix_products(device, tf32=True) if device.type == "cuda" else ImitatedTF32():
        yield


def network(size: int, dtype: torch.dtype, *, tf32: bool = False) -> vp.DONN:
    """Five layers of random states."""
    return vp.DONN(
        grid=vp.Grid(size, 36e-6),
        wavelength=532e-9,
        distances=0.30 * (size / 200) ** 2,
        devices=[vp.devices.tn_slm().pick(8)] * 5,
        relaxation=vp.GumbelSoftmax(),
        task=vp.tasks.Classification(differential=False, measure="sum", scale=1.0),
        dtype=dtype,
        engine="matrix",
        tf32=tf32,
    )


def light(model: vp.DONN, images: Tensor, states: list[Tensor], device: torch.device) -> list[Tensor]:
    """What ``states`` on the layers send to each region, and the gradients of it."""
    modulations = [state.to(device, model.layers[0].table.values.dtype).requires_grad_() for state in states]
    model.to(device)
    with reduced(device) if model.executor.tf32 else nullcontext():
        sums = model.measure(images.to(device), modulations)
        gradients = torch.autograd.grad(sums.sum(), modulations)
    return [tensor.detach().cpu().to(torch.complex128) for tensor in (sums, torch.stack(gradients))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.rand(options.batch, 28, 28, generator=torch.Generator().manual_seed(0))
    exactly = network(options.size, torch.complex128)
    states = [layer.modulation().detach() for layer in exactly.layers]
    exact, exact_gradient = light(exactly, images, states, device)
    rows = []
    for precision, tf32 in PRECISIONS.items() if device.type == "cuda" else (("single", False), ("tf32", True)):
        model = network(options.size, torch.complex64, tf32=tf32).to(device)
        if precision.startswith("fused"):
            executor: Any = model.executor
            executor.fused, executor.rounding = True, {tf32: precision.split()[1]}
        sums, gradient = light(model, images, states, device)
        about = {"precision": precision, "imitated": tf32 and device.type == "cpu", "size": options.size}
        of_regions, of_gradient = worst(sums, exact), relative(gradient, exact_gradient)
        rows.append({**about, "error_of_regions": of_regions, "error_of_gradient": of_gradient})
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
    if options.json is not None:
        write_json(options.json, {"rows": rows, "versions": versions(), "hardware": hardware(device)})


if __name__ == "__main__":
    main()
