"""Triton's kernels, compiled for a GPU that is not there: what its interpreter does not show.

They are in the part of Python that Triton compiles (annotations that are names, an early return are not), and fit on a
GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from voltphase.core.installed import triton_obstacle

PROGRAM = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

# Those of the back end.
from voltphase.optics.backends.cuda import fused, kernels, region_sums

halves = dict.fromkeys(("UNFOLD_ROWS", "UNFOLD_COLUMNS", "FOLD_ROWS", "FOLD_COLUMNS"), True)
modulate = halves | {"REAL": False, "CONJUGATE": False, "FACTOR": True, "STORE": True, "SUMS": True, "IMAGES": 32}
regions = halves | {"AMPLITUDE": True, "ROWS": 4, "BM": 16, "BN": 32, "BK": 16}
products = halves | {"SUMS": True, "PRECISION": "tf32", "BM": 16, "BN": 128, "BK": 16}
fields = ("source", "target", "factor", "field", "sums", "matrices")
numbers = ("row_weights", "column_weights", "gradient")
for kernel, constants, warps, stages in (
    (kernels._modulate, modulate | {"BM": 2, "BN": 128}, 4, 3),
    (region_sums._region_sums, regions, 8, 1),
    (region_sums._region_gradient, regions, 8, 1),
    (fused._modulated_columns, products, 8, 2),
    (fused._rows_product, products | {"BM": 64, "BN": 64}, 8, 3),
):
    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    types = dict.fromkeys(kernel.arg_names, "i32") | dict.fromkeys(fields, "*i64") | dict.fromkeys(numbers, "*fp32")
    types = {name: "constexpr" if name in constants else types[name] for name in kernel.arg_names}
    if kernel is region_sums._region_sums:
        types["sums"] = "*fp32"
    options = {"num_warps": warps, "num_stages": stages}
    made = triton.compile(ASTSource(kernel, types, constants), target=GPUTarget("cuda", 90, 32), options=options)
    assert made.metadata.shared < 227 * 1024 and "cubin" in made.asm

# Those of relaxations.
from voltphase.codesign.kernels import draws, near, near_at_each

REALS = dict.fromkeys(["scores", "values", "maximum", "drawn", "temperature", "columns", "slope", "gradient", "noise",
                       "design", "excess", "modulation", "jacobian", "steepness"], "*fp32")
TYPES = REALS | {"seed": "*i64", "choice": "*i64", "levels": "i32", "pixels": "i32", "waves": "i32"}
CONSTANTS = {"FOURS": 2, "PIXELS": 64, "STATES": 4, "ALL": 8, "FLOOR": 1e-31, "POLAR": True, "HARD": False, "BLOCK": 64}
for kernel, without in [
    (draws.highest_kernel, []),
    (draws.highest_kernel, ["seed", "values", "maximum", "drawn"]),
    (draws.draw_gradient_kernel, []),
    (draws.noise_kernel, []),
    (near.near_kernel, ["excess"]),
    (near.nearest_kernel, []),
    (near.near_gradient_kernel, []),
    (near_at_each.near_at_each_kernel, []),
    (near_at_each.near_at_each_kernel, ["excess", "steepness", "temperature", "modulation"]),
    (near_at_each.near_at_each_gradient_kernel, ["excess"]),
]:
    constants = {n: CONSTANTS.get(n) for n in kernel.arg_names if n in CONSTANTS or n in without}
    signature = {n: "constexpr" if n in constants else TYPES[n] for n in kernel.arg_names}
    indices = {(kernel.arg_names.index(n),): value for n, value in constants.items()}
    source = ASTSource(kernel, signature, indices)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
"""


@pytest.mark.skipif(triton_obstacle("cuda") is not None, reason="needs Triton")
def test_kernels_compile_for_an_h100() -> None:
    # In a process of its own, without the interpreter; one for all, as it takes a second to load PyTorch.
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
