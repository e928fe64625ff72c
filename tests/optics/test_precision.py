from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from voltphase.errors import ConfigError
from voltphase.optics.precision import complex_dtype, matrix_products


@pytest.fixture(params=[False, True])
def before(request: pytest.FixtureRequest) -> Iterator[bool]:
    """What the process has set, of either kind."""
    found = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = request.param
    yield request.param
    torch.backends.cuda.matmul.allow_tf32 = found


def test_only_double_is_held_in_complex128() -> None:
    assert [complex_dtype(p) for p in ("single", "double", "tf32")] == [
        torch.complex64,
        torch.complex128,
        torch.complex64,
    ]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a precision out of single, double, tf32, but got 'half'"):
        complex_dtype("half")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("tf32", [False, True])
def test_products_on_a_gpu_are_as_asked_for_and_no_longer(before: bool, tf32: bool) -> None:
    def product() -> None:
        with matrix_products(torch.device("cuda"), tf32=tf32):
            assert torch.backends.cuda.matmul.allow_tf32 == tf32
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        product()
    assert torch.backends.cuda.matmul.allow_tf32 == before


def test_a_cpu_changes_nothing(before: bool) -> None:
    with matrix_products(torch.device("cpu"), tf32=not before):
        assert torch.backends.cuda.matmul.allow_tf32 == before
