"""Whatever is done in a process, finished, failed or interrupted, leaves what others read there as it was."""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from lightning.pytorch.accelerators.cpu import CPUAccelerator
from torch.torch_version import TorchVersion

from voltphase import deploy, load_run, train, verify
from voltphase.config import Config, load_config
from voltphase.core import dtypes
from voltphase.core.errors import VoltphaseError
from voltphase.reporting import write_report
from voltphase.training import run
from voltphase.training.build import build_datasets
from voltphase.training.evaluation import evaluate
from voltphase.training.progress import quiet_lightning
from voltphase.training.provenance import versions
from voltphase.training.refine.refine_run import refine_run

State = dict[str, Any]
BACKENDS: Any = torch.backends


def switch(backend: str, operation: str) -> Callable[[], str]:
    return lambda: torch._C._get_fp32_precision_getter(backend, operation)


SNAPSHOTS: dict[str, Callable[[], Any]] = {
    "word of matrix products": torch.get_float32_matmul_precision,
    "old switch of matrix products": lambda: BACKENDS.cuda.matmul.allow_tf32,
    **{
        f"precision of {backend} {operation}": switch(backend, operation)
        for backend, operation in (
            ("generic", "all"),
            *((backend, operation) for backend in ("cuda", "mkldnn") for operation in ("all", "matmul", "conv", "rnn")),
        )
    },
    "cudnn": lambda: [
        getattr(BACKENDS.cudnn, name) for name in ("enabled", "benchmark", "deterministic", "allow_tf32")
    ],
    "threads": torch.get_num_threads,
    "threads of operations": torch.get_num_interop_threads,
    "default dtype": torch.get_default_dtype,
    "default device": torch.get_default_device,
    "deterministic algorithms": torch.get_deterministic_debug_mode,
    "anomaly detection": lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
    "autocast": lambda: [
        (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in ("cpu", "cuda")
    ],
    "cache of autocast": torch.is_autocast_cache_enabled,
    "gradients": torch.is_grad_enabled,
    "inference mode": torch.is_inference_mode_enabled,
    "modes of dispatch": lambda: torch._C._len_torch_dispatch_stack(),
    "modes of functions": lambda: torch._C._len_torch_function_stack(),
    "warnings": lambda: (list(warnings.filters), warnings.showwarning, torch.is_warn_always_enabled()),
    "signals": lambda: {number: signal.getsignal(number) for number in signal.valid_signals()},
    "hooks": lambda: (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.gettrace()),
    "generator of PyTorch": lambda: torch.get_rng_state().tolist(),
    "generator of NumPy": lambda: repr(np.random.get_state()),  # noqa: NPY002 - which is what others draw from
    "generator of Python": random.getstate,
    "matplotlib": lambda: dict(mpl.rcParams),
    "levels of loggers": lambda: {
        name: logging.getLogger(name).level
        for name in ("", "lightning", "lightning.pytorch", "lightning.fabric", "matplotlib", "torch")
    },
    "handlers of loggers": lambda: [
        (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate)
        for name in ("", "lightning", "lightning.pytorch", "lightning.fabric", "matplotlib")
    ],
    "lock of logging": lambda: getattr(logging, "_lock")._is_owned(),  # noqa: B009 - it has no public name
    "environment": lambda: dict(os.environ),
    "folder": os.getcwd,
    "rights of new files": lambda: _umask(),
    "paths of modules": lambda: sys.path[:],
    "streams": lambda: (sys.stdin, sys.stdout, sys.stderr),
    "locale": lambda: locale.setlocale(locale.LC_ALL),
    "numbers as text": np.get_printoptions,
    "tensors as text": lambda: str(torch.tensor([1 / 3, 1e9])),
    "errors of NumPy": np.geterr,
    "limit of recursion": sys.getrecursionlimit,
    "threads that run": lambda: {thread.name for thread in threading.enumerate()},
}


def _umask() -> int:
    os.umask(now := os.umask(0))
    return now


@contextmanager
def unusual() -> Iterator[None]:
    """A process that has set what it can otherwise than it comes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    BACKENDS.cudnn.benchmark = True
    with warnings.catch_warnings(), mpl.rc_context({"lines.linewidth": 7.0}):
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        finally:
            BACKENDS.cudnn.benchmark = False
            torch.use_deterministic_algorithms(False)
            torch.set_default_dtype(torch.float32)
            torch.set_float32_matmul_precision("highest")
            BACKENDS.cuda.matmul.fp32_precision = BACKENDS.mkldnn.matmul.fp32_precision = "none"
            torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def config() -> Config:
    settings = (
        "optics.size=12",
        "optics.depth=1",
        "optics.distances=0.02",
        "device.levels=4",
        "training.epochs=1",
        "training.threads=1",
    )
    return load_config("digits", [*settings, "data.train_limit=40", "data.test_limit=20", "training.batch_size=20"])


def whole_path(config: Config, folder: Path) -> None:
    train(config, out=folder / "run")
    trained = load_run(folder / "run")
    evaluate(trained.model, build_datasets(config)["test"], 20)
    assert verify(deploy(trained, folder / "bench")).passed
    write_report(folder / "run")
    refine_run(folder / "run", folder / "refined", images=20, evaluations=4)


def failing(config: Config, folder: Path) -> None:
    def fail(_: object) -> None:
        raise ValueError("by whoever watches")

    with pytest.raises(ValueError, match="by whoever"):
        train(config, out=folder / "run", watch=fail)


def interrupted(config: Config, folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(config, out=folder / "run", watch=lambda _: signal.raise_signal(signal.SIGINT))


def refused(config: Config, folder: Path) -> None:
    with pytest.raises(VoltphaseError):
        train(load_config("digits", ["optics.distances=1e9"]), out=folder / "run")
    with pytest.raises(VoltphaseError):
        verify(folder)


SCENARIOS: dict[str, Callable[[Config, Path], None]] = {
    "the whole path": whole_path,
    "an error": failing,
    "an interrupt": interrupted,
    "what does not fit": refused,
}


def state() -> State:
    return {name: snapshot() for name, snapshot in SNAPSHOTS.items()}


def changed(before: State) -> State:
    """Before and after of what is not as it was."""
    return {name: (before[name], now) for name, now in state().items() if now != before[name]}


@pytest.fixture(scope="module")
def calls(config: Config, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many of our functions a training calls, in a process that has imported all that is needed."""
    folder = tmp_path_factory.mktemp("imported")
    train(config, out=folder / "run")
    assert verify(deploy(load_run(folder / "run"), folder / "bench")).passed
    with interrupting() as counted:
        train(config, out=tmp_path_factory.mktemp("counted") / "run")
    return counted[0]


@contextmanager
def interrupting(at: int = -1) -> Iterator[list[int]]:
    """Raise a KeyboardInterrupt at so many calls of our functions, which are counted."""
    counted = [0]

    def count(frame: Any, event: str, _: object) -> None:
        if event == "call" and "/voltphase/" in frame.f_code.co_filename:
            counted[0] += 1
            if counted[0] == at:
                raise KeyboardInterrupt

    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_process_is_as_it_was(config: Config, tmp_path: Path, calls: int, name: str) -> None:
    with unusual():
        before = state()
        SCENARIOS[name](config, tmp_path)
        assert changed(before) == {}


@pytest.mark.parametrize("part", range(8))
def test_an_interrupt_anywhere_in_training_leaves_the_process_as_it_was(
    config: Config, tmp_path: Path, calls: int, part: int
) -> None:
    with unusual():
        before = state()
        with interrupting(at=int(calls * (part + 0.5) / 8)), pytest.raises(KeyboardInterrupt):
            train(config, out=tmp_path / "run")
        assert changed(before) == {}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_an_interrupt_while_lightning_is_quiet_leaves_its_warnings_and_loggers_as_they_were() -> None:
    before, interrupted = state(), 0
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.disable()  # a handler of pytest's that is collected takes logging's lock, and may be interrupted there
    try:
        for _ in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-4))
                with quiet_lightning():
                    pass
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            for name in ("warnings", "handlers of loggers", "lock of logging"):
                assert SNAPSHOTS[name]() == before[name]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        gc.enable()
    assert interrupted > 20


def test_what_made_a_run_is_named_with_its_build(monkeypatch: pytest.MonkeyPatch) -> None:
    # The version of the installed package may leave the build out, as that of wheels for CUDA does.
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.11.0+cu130"))
    assert versions()["torch"] == "2.11.0+cu130"


@pytest.mark.parametrize("word", ["as it comes", "switch alone", "everything", "high"])
def test_trainings_on_a_gpu_follow_each_other_whatever_is_set(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    # Lightning reads the old switch when it sets up a GPU, and torch refuses where the new one says something else.
    read: list[str] = []

    def set_up(*_: object) -> None:
        read.append(torch.get_float32_matmul_precision())

    block = type(dtypes._SWITCHES).block
    entered: list[bool] = []

    def as_on_a_gpu(switches: Any, _: str, tf32: bool) -> Any:
        entered.append(tf32)
        return block(switches, "cuda", tf32)

    monkeypatch.setattr(CPUAccelerator, "setup_device", set_up)
    monkeypatch.setattr(type(dtypes._SWITCHES), "block", as_on_a_gpu)
    monkeypatch.setattr(run, "accelerator_of", lambda _: "cpu")
    tf32 = config.model_copy(update={"optics": config.optics.model_copy(update={"precision": "tf32"})})
    try:
        if word == "switch alone":
            BACKENDS.cuda.matmul.fp32_precision = "tf32"
        elif word == "everything":
            BACKENDS.fp32_precision = "tf32"
        elif word == "high":
            torch.set_float32_matmul_precision("high")
        before = state_of_products()
        for index, one in enumerate((tf32, config, tf32)):
            train(one, out=tmp_path / str(index))
            assert state_of_products() == before
    finally:
        BACKENDS.fp32_precision = "none"
        torch.set_float32_matmul_precision("highest")
        BACKENDS.cuda.matmul.fp32_precision = BACKENDS.mkldnn.matmul.fp32_precision = "none"
    assert read == [torch.get_float32_matmul_precision() if word != "high" else "high"] * 3
    assert set(entered) == {True, False}


def state_of_products() -> list[str]:
    return [SNAPSHOTS[f"precision of {backend} matmul"]() for backend in ("cuda", "mkldnn")]
