from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from voltphase.core import dtypes
from voltphase.core.dtypes import exact_linear, matrix_products, readable_precision, standard_torch
from voltphase.core.errors import ConfigError
from voltphase.optics.precision import complex_dtype

MATMUL = torch.backends.cuda.matmul
# Not known to type checkers.
BACKENDS: Any = torch.backends
DEVICES = {"cuda": "cuda", "mkldnn": "cpu"}


SETTINGS = {
    "as it comes": lambda: None,
    "not allowed": lambda: setattr(MATMUL, "allow_tf32", False),
    "allowed": lambda: setattr(MATMUL, "allow_tf32", True),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "ieee": lambda: setattr(MATMUL, "fp32_precision", "ieee"),
    "tf32": lambda: setattr(MATMUL, "fp32_precision", "tf32"),
    "all backends": lambda: setattr(BACKENDS, "fp32_precision", "tf32"),
    "all backends and this one": lambda: (
        setattr(BACKENDS, "fp32_precision", "tf32"),
        setattr(MATMUL, "fp32_precision", "tf32"),
    ),
    "all of a GPU": lambda: setattr(BACKENDS.cudnn, "fp32_precision", "tf32"),
    "all of a CPU": lambda: SET("mkldnn", "all", "bf16"),
    "bf16 on the CPU": lambda: setattr(BACKENDS.mkldnn.matmul, "fp32_precision", "bf16"),
    "high, then ieee": lambda: (
        torch.set_float32_matmul_precision("high"),
        setattr(MATMUL, "fp32_precision", "ieee"),
    ),
}
# The setter of torch.backends.mkldnn.fp32_precision sets another switch.
SET = torch._C._set_fp32_precision_setter


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> Iterator[Callable[[], object]]:
    """Sets something by one of torch's switches, whatever was set before."""

    def apply() -> None:
        reset()
        SETTINGS[request.param]()

    yield apply
    reset()


@pytest.fixture
def before(setting: Callable[[], object]) -> list[object]:
    """What a process has set."""
    setting()
    return switches()


def reset() -> None:
    torch.set_float32_matmul_precision("highest")
    BACKENDS.fp32_precision = "none"
    for backend in ("cuda", "mkldnn"):
        for operation in ("all", "matmul"):
            SET(backend, operation, "none")


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


def switches_hereafter() -> list[object]:
    """What they say after changes of those that others follow; and the word, which may be hidden now."""
    found = switches()
    for change in (("generic", "ieee"), ("generic", "tf32"), ("cuda", "ieee"), ("mkldnn", "ieee")):
        SET(change[0], "all", change[1])
        found += switches()
    for backend in ("cuda", "mkldnn"):
        SET(backend, "matmul", "ieee")
    return [*found, torch.get_float32_matmul_precision()]


def test_only_double_is_held_in_complex128() -> None:
    assert [complex_dtype(p) for p in ("single", "double", "tf32", "auto")] == [
        torch.complex64,
        torch.complex128,
        torch.complex64,
        torch.complex64,
    ]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a precision out of single, double, tf32, auto, but got 'half'"):
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
    monkeypatch.delattr(torch._C, "_get_fp32_precision_getter")
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


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("tf32", [False, True])
def test_what_follows_another_switch_goes_on_to_follow_it(
    setting: Callable[[], object], device: str, tf32: bool
) -> None:
    setting()
    expected = switches_hereafter()
    setting()
    with matrix_products(torch.device(device), tf32=tf32):
        pass
    assert switches_hereafter() == expected


def test_blocks_may_be_left_in_any_order(before: list[object]) -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    for order in permutations(range(3)):
        entered = [matrix_products(gpu, tf32=True), matrix_products(cpu, tf32=False), matrix_products(gpu, tf32=False)]
        for block in entered:
            block.__enter__()
        assert MATMUL.fp32_precision == "ieee"
        for count, index in enumerate(order):
            entered[index].__exit__(None, None, None)
            if count == 0 and index == 2:
                assert MATMUL.fp32_precision == "tf32"
        assert switches() == before


def test_a_generator_that_is_dropped_inside_of_a_block_leaves_it(before: list[object]) -> None:
    def products() -> Iterator[None]:
        with matrix_products(torch.device("cuda"), tf32=True):
            yield

    suspended = products()
    next(suspended)
    with matrix_products(torch.device("cuda"), tf32=False):
        del suspended
        assert MATMUL.fp32_precision in ("ieee", "none")
    assert switches() == before


def test_threads_leave_no_mark(before: list[object]) -> None:
    barrier = threading.Barrier(4)

    def enter_and_leave(tf32: bool) -> None:
        barrier.wait()
        for _ in range(200):
            with matrix_products(torch.device("cuda"), tf32=tf32):
                time.sleep(0)

    threads = [threading.Thread(target=enter_and_leave, args=(index % 2 == 0,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert switches() == before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
@pytest.mark.parametrize("name", ["as it comes", "all backends", "medium"])
def test_an_interrupt_at_any_point_leaves_no_mark(name: str) -> None:
    reset()
    SETTINGS[name]()
    before, device, interrupted = switches(), torch.device("cuda"), 0

    def once() -> None:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-4))
        with matrix_products(device, tf32=True), matrix_products(device, tf32=False), standard_torch():
            pass

    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(600):
            try:
                once()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert switches() == before
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        reset()
    assert interrupted > 50


def test_others_can_read_the_old_switch_where_they_ask_for_it(before: list[object]) -> None:
    with readable_precision():
        torch.get_float32_matmul_precision()
        assert "refused" in before or switches() == before
    assert switches() == before


@pytest.mark.parametrize("backend", ["cuda", "mkldnn"])
def test_gradients_of_a_linear_function_are_products_that_are_not_rounded(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr(dtypes, "exact_products", lambda _: matrix_products(torch.device(DEVICES[backend]), tf32=False))
    seen: list[str] = []

    def noted(product: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: (seen.append(torch._C._get_fp32_precision_getter(backend, "matmul")), product(x))[1]

    left = torch.randn(3, 4, dtype=torch.complex128)
    there, back = noted(lambda x: left @ x), noted(lambda x: left.mH @ x)
    given = torch.randn(2, 4, 5, dtype=torch.complex128, requires_grad=True)
    torch.set_float32_matmul_precision("medium")
    try:
        assert gradcheck(lambda x: exact_linear(there, back, x), given, check_forward_ad=True)
        assert gradgradcheck(lambda x: exact_linear(there, back, x), given)
        each = torch.func.vmap(lambda x: exact_linear(there, back, x))(given)
    finally:
        reset()
    torch.testing.assert_close(each, left @ given)
    assert set(seen) == {"ieee"}
