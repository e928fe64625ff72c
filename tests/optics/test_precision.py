from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from voltphase.core.dtypes import matrix_products
from voltphase.core.errors import ConfigError
from voltphase.optics.precision import complex_dtype

MATMUL = torch.backends.cuda.matmul
# Not known to type checkers.
BACKENDS: Any = torch.backends


SETTINGS = {
    "as it comes": lambda: None,
    "not allowed": lambda: setattr(MATMUL, "allow_tf32", False),
    "allowed": lambda: setattr(MATMUL, "allow_tf32", True),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "ieee": lambda: setattr(MATMUL, "fp32_precision", "ieee"),
    "tf32": lambda: setattr(MATMUL, "fp32_precision", "tf32"),
    "all backends": lambda: setattr(BACKENDS, "fp32_precision", "tf32"),
    "bf16 on the CPU": lambda: setattr(BACKENDS.mkldnn.matmul, "fp32_precision", "bf16"),
}


@pytest.fixture(params=SETTINGS)
def before(request: pytest.FixtureRequest) -> Iterator[list[object]]:
    """What the process has set, by any of torch's switches."""
    SETTINGS[request.param]()
    yield switches()
    torch.set_float32_matmul_precision("highest")
    BACKENDS.fp32_precision = "none"
    MATMUL.fp32_precision = BACKENDS.mkldnn.matmul.fp32_precision = "none"


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
        read(lambda: BACKENDS.mkldnn.matmul.fp32_precision),
        read(lambda: BACKENDS.fp32_precision),
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
            assert MATMUL.fp32_precision in (("tf32",) if tf32 else ("ieee", "none"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        product()
    assert switches() == before


@pytest.mark.parametrize("tf32", [False, True])
def test_what_others_read_agrees_with_what_is_set(before: list[object], tf32: bool) -> None:
    # Lightning reads it when a training starts; torch refuses where the old switch and the new one differ.
    mixed = "refused" in before
    with matrix_products(torch.device("cuda"), tf32=tf32):
        if not mixed:
            assert MATMUL.allow_tf32 == tf32
            assert (torch.get_float32_matmul_precision() == "highest") == (not tf32)
        with matrix_products(torch.device("cuda"), tf32=not tf32):
            assert (MATMUL.fp32_precision == "tf32") == (not tf32)
        assert (MATMUL.fp32_precision == "tf32") == tf32
    assert switches() == before


@pytest.mark.parametrize("wanted", ["highest", "high"])
def test_a_torch_that_knows_the_old_switch_alone(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setattr(torch.backends.cuda, "matmul", SimpleNamespace())
    monkeypatch.setattr(BACKENDS.mkldnn, "matmul", SimpleNamespace())
    for before in ("highest", "high", "medium"):
        torch.set_float32_matmul_precision(before)
        with matrix_products(torch.device("cuda"), tf32=wanted == "high"):
            assert (torch.get_float32_matmul_precision() == "highest") == (wanted == "highest")
        with matrix_products(torch.device("cpu"), tf32=False):
            assert torch.get_float32_matmul_precision() != "medium"
        assert torch.get_float32_matmul_precision() == before
    torch.set_float32_matmul_precision("highest")


def test_products_on_a_cpu_never_round(before: list[object]) -> None:
    for tf32 in (False, True):
        with matrix_products(torch.device("cpu"), tf32=tf32):
            assert BACKENDS.mkldnn.matmul.fp32_precision in ("ieee", "none")
            assert switches()[0] == before[0]
        assert switches() == before
