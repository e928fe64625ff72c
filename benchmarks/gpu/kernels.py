"""Each kernel by itself, beside what the machine's memory and its multipliers reach in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

import voltphase as vp
from benchmarks.contenders import donn, states
from benchmarks.gpu.base import Call, Row, Run, in_turns, sentence
from voltphase.codesign import CodesignLayer
from voltphase.core.dtypes import matrix_products

LEVELS = (8, 256, 784)
REGIONS = 10


class Work(NamedTuple):
    """A call with what it moves and multiplies.

    Attributes:
        moved: Bytes read and written once each, or 0 where multiplying is what takes time.
        flops: Floating-point operations.
        tf32: Whether it is measured against products in TF32.
    """

    call: Call
    moved: float = 0.0
    flops: float = 0.0
    tf32: bool = False


def kernels(run: Run) -> Iterator[Row]:
    """Ceilings first, then kernels in rows of milliseconds, throughput, and the part of the ceiling they reach."""
    ceilings: dict[str, float] = {}
    for group in (_ceilings, _hops, _draws):
        try:
            works = group(run)
        except Exception as error:  # a back end that is not there, or not as it was
            yield {"name": group.__name__.strip("_"), "error": sentence(error)}
            continue
        for name, work in works.items():
            row = _row(name, work, run)
            if "error" in row:
                yield row
                continue
            kind = "copy" if work.moved else f"product {'tf32' if work.tf32 else 'single'}"
            reached = row["tb_per_s" if work.moved else "tflop_per_s"]
            if name == kind:
                ceilings[kind] = reached
            if kind in ceilings:
                row["of_ceiling"] = reached / ceilings[kind]
            yield row


def _row(name: str, work: Work, run: Run) -> Row:
    found, errors = in_turns({name: work.call}, run, seconds=1.0)
    if errors:
        return {"name": name, "error": errors[name]}
    times = found[name]
    milliseconds = statistics.median(times)
    unit, amount = ("tb_per_s", work.moved) if work.moved else ("tflop_per_s", work.flops)
    return {"name": name, "ms": milliseconds, "ms_lowest": min(times), unit: amount / milliseconds / 1e9}


def _ceilings(run: Run) -> dict[str, Work]:
    setting, side = run.cell(), 64 if run.quick else 8192
    numbers = torch.ones(setting.batch * setting.size**2, dtype=torch.complex64, device=run.device)
    other, square = torch.empty_like(numbers), torch.ones(side, side, device=run.device)
    products = {
        f"product {'tf32' if tf32 else 'single'}": Work(
            _rounded(partial(torch.mm, square, square, out=torch.empty_like(square)), run, tf32=tf32),
            flops=2.0 * side**3,
            tf32=tf32,
        )
        for tf32 in (False, True)
    }
    return {"copy": Work(lambda: other.copy_(numbers), moved=16.0 * numbers.numel()), **products}


def _hops(run: Run) -> dict[str, Work]:
    """What the back end for GPUs does between two planes, and on the detector."""
    hops, kernels, regions = (
        import_module(f"voltphase.optics.backends.cuda.{name}") for name in ("hops", "kernels", "region_sums")
    )
    setting = run.cell()
    executor: Any = donn(setting, backend="cuda").executor
    hop = executor.maps()[0][1]  # from plane to plane; the first one starts at the image
    layout, batch = hop.source, setting.batch
    shape = layout.sizes(batch)
    field, target, gradient = (torch.ones(shape, dtype=torch.complex64, device=run.device) for _ in range(3))
    factor = torch.ones(layout.shape, dtype=torch.complex64, device=run.device)
    masks = torch.ones(setting.size, REGIONS, device=run.device)
    sums = torch.ones(batch, REGIONS, device=run.device)
    one = 8.0 * field.numel()
    works = {
        "modulate": Work(lambda: kernels.modulate(field, layout, target, layout, factor=factor), moved=2 * one),
        "modulate, backward": Work(
            lambda: kernels.modulate(gradient, layout, target, layout, factor=factor, field=field), moved=3 * one
        ),
        "region sums": Work(lambda: regions.region_sums(field, layout, masks, masks, amplitude=False), moved=one),
        "region sums, backward": Work(
            lambda: regions.region_gradient(field, layout, masks, masks, sums, target, amplitude=False), moved=2 * one
        ),
    }
    kernel = next(part for gap in _stack_of(donn(setting)).gaps[1:2] for part in gap[0].parts)
    flops = 8.0 * batch * hops.multiplications(kernel)
    free = torch.empty(batch * hop.scratch, dtype=torch.complex64, device=run.device)
    there = {"products": lambda: hop(field, free, target)}
    there["modulate and products"] = lambda: (
        kernels.modulate(field, layout, gradient, layout, factor=factor),
        hop(gradient, free, target),
    )
    there["modulate and products, backward"] = lambda: (
        kernels.modulate(field, layout, gradient, layout, factor=factor, field=target),
        hop(gradient, free, target),
    )
    for tf32 in (False, True):
        for name, call in there.items():
            name = f"{name} of a hop, {'tf32' if tf32 else 'ieee'}"
            works[name] = Work(_rounded(call, run, tf32=tf32), flops=flops, tf32=tf32)
    between = hop.view_between(free, batch)
    for precision in ("ieee", "tf32", "tf32x3"):
        for name, kept in (("fused hop", None), ("fused hop, backward", field)):
            call = partial(_fused, hop, field, between, target, factor=factor, kept=kept, precision=precision)
            works[f"{name}, {precision}"] = Work(call, flops=flops, tf32=precision != "ieee")
    return works


def _fused(
    hop: Any, field: Tensor, between: Tensor, target: Tensor, *, factor: Tensor, kept: Tensor | None, precision: str
) -> None:
    fused = import_module("voltphase.optics.backends.cuda.fused")
    fused.modulated_columns(field, hop.source, hop, between, factor=factor, field=kept, precision=precision)
    fused.rows_product(hop, between, target, precision=precision)


def _draws(run: Run) -> dict[str, Work]:
    """A layer's draws, or soft weights, with their gradient; and Adam's step on as many scores."""
    works: dict[str, Work] = {}
    for count in LEVELS:
        setting = run.cell(levels=count)
        numbers = 4.0 * setting.levels * setting.size**2
        for relaxation in (vp.GumbelSoftmax(), vp.codesign.Proximity()):
            layer = CodesignLayer((setting.size, setting.size), states(setting.levels), relaxation=relaxation)
            layer.to(run.device).train()
            name = f"{type(relaxation).__name__}, {setting.levels} levels"
            scores = 4.0 * layer.design.numel()
            works[name] = Work(torch.no_grad()(layer.modulation), moved=scores)
            works[f"{name}, backward"] = Work(_backward(layer), moved=2 * scores)
        parameter = torch.ones(setting.levels, setting.size, setting.size, device=run.device, requires_grad=True)
        parameter.grad = torch.ones_like(parameter)
        adam = torch.optim.Adam([parameter], fused=True)
        works[f"Adam, {setting.levels} levels"] = Work(adam.step, moved=7 * numbers)
    return works


def _backward(layer: CodesignLayer) -> Callable[[], Tensor]:
    modulation = layer.modulation()
    gradient = torch.ones_like(modulation)
    return lambda: torch.autograd.grad(modulation, layer.design, gradient, retain_graph=True)[0]


def _rounded(call: Call, run: Run, *, tf32: bool) -> Call:
    def rounded() -> None:
        with matrix_products(torch.device(run.device), tf32=tf32):
            call()

    return rounded


def _stack_of(model: vp.DONN) -> Any:
    from voltphase.optics.paths import stack_of

    return stack_of(model.paths)
