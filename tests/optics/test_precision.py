from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch

from voltphase.errors import ConfigError
from voltphase.optics.precision import complex_dtype, matrix_products

MATMUL = torch.backends.cuda.matmul


@pytest.fixture(
    params=[
        lambda: setattr(MATMUL, "allow_tf32", False),
        lambda: setattr(MATMUL, "allow_tf32", True),
        lambda: torch.set_float32_matmul_precision("medium"),
        lambda: setattr(MATMUL, "fp32_precision", "ieee"),
        lambda: setattr(MATMUL, "fp32_precision", "tf32"),
    ],
    ids=["not allowed", "allowed", "medium", "ieee", "tf32"],
)
def before(request: pytest.FixtureRequest) -> Iterator[list[object]]:
    """What the process has set, by any of torch's switches."""
    request.param()
    yield switches()
    MATMUL.allow_tf32 = False


def switches() -> list[object]:
    """What each of torch's switches says, or that it cannot be read."""

    def read(switch: Callable[[], object]) -> object:
        try:
            return switch()
        except RuntimeError:
            return "refused"

    return [
        read(lambda: MATMUL.fp32_precision),
        read(lambda: MATMUL.allow_tf32),
        read(torch.get_float32_matmul_precision),
    ]


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
def test_products_on_a_gpu_are_as_asked_for_and_no_longer(before: list[object], tf32: bool) -> None:
    def product() -> None:
        with matrix_products(torch.device("cuda"), tf32=tf32):
            assert MATMUL.fp32_precision == ("tf32" if tf32 else "ieee")
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        product()
    assert switches() == before


@pytest.mark.parametrize("tf32", [False, True])
def test_a_torch_that_knows_allow_tf32_alone(monkeypatch: pytest.MonkeyPatch, tf32: bool) -> None:
    older = SimpleNamespace(allow_tf32=not tf32)
    monkeypatch.setattr(torch.backends.cuda, "matmul", older)
    with matrix_products(torch.device("cuda"), tf32=tf32):
        assert older.allow_tf32 == tf32
    assert vars(older) == {"allow_tf32": not tf32}


def test_a_cpu_changes_nothing(before: list[object]) -> None:
    for tf32 in (False, True):
        with matrix_products(torch.device("cpu"), tf32=tf32):
            assert switches() == before
