"""What there is, the tests, and the error of reduced precision."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as ET

import torch

from benchmarks.gpu.base import Row, Run
from benchmarks.measuring import machine

ROOT = Path(__file__).parents[2]
_ENDING = 12.0  # seconds in which interrupted tests end
KERNELS = ("tests/optics/backends", "tests/codesign")


def environment(run: Run) -> Iterator[Row]:
    """Machine, versions, seed and commit."""
    row = {**machine(run.device), "seed": run.cell().seed, "cuda": torch.version.cuda}
    for name in ("triton", "lightridge"):
        found = importlib.util.find_spec(name)
        row[name] = None if found is None else _version(name)
    if run.device == "cuda":
        about = torch.cuda.get_device_properties(0)
        row |= {"driver": _driver(), "memory_gb": about.total_memory / 1e9, "name": about.name}
        row |= {"multiprocessors": about.multi_processor_count, "capability": f"{about.major}.{about.minor}"}
    yield row


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of a folder"


def _driver() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def kernels_against_the_oracle(run: Run) -> Iterator[Row]:
    """The tests of what runs on a GPU: kernels against ``reference`` in double precision, draws."""
    yield suite([path for path in KERNELS if (ROOT / path).exists()], run.seconds)


def all_tests(run: Run) -> Iterator[Row]:
    """The whole suite, for as long as there is time."""
    yield suite(["tests"], run.seconds)


def suite(paths: Sequence[str], seconds: float) -> Row:
    """What pytest says of some tests: how many there are of each outcome, and which failed."""
    row: Row = {"tests": " ".join(paths)}
    if importlib.util.find_spec("pytest") is None:
        return {**row, "error": "pytest is not installed"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
    if importlib.util.find_spec("xdist") is not None:
        command += ["-n", str(max(1, min(12, (os.cpu_count() or 1) - 2)))]
    # One process, and so one initialisation of the GPU, for each worker; outcomes are written as they come.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "1"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command += [f"--junitxml={report}"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            output = process.communicate(timeout=max(5.0, seconds - _ENDING))[0]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # pytest ends its workers, and writes what it has
            output = process.communicate()[0]
            row["error"] = f"stopped after {seconds - _ENDING:.0f} s"
        if not report.exists():
            return {"error": " ".join(output.split())[-500:], **row}
        cases = list(ET.parse(report).iter("testcase"))
    failed = [f"{case.get('classname')}.{case.get('name')}" for case in cases if _has(case, "failure", "error")]
    skipped = sum(_has(case, "skipped") for case in cases)
    row |= {"passed": len(cases) - len(failed) - skipped, "failed": len(failed), "skipped": skipped}
    return {**row, "failures": failed[:50]}


def _has(case: ET.Element, *kinds: str) -> bool:
    return any(case.find(kind) is not None for kind in kinds)


def precision(run: Run) -> Iterator[Row]:
    """The error of single precision and TF32 at regions and in gradients, against double precision."""
    size = ["--size", "16", "--batch", "2"] if run.quick else ["--size", "200", "--batch", "64"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "precision.json"
        command = [sys.executable, str(ROOT / "scripts" / "precision.py"), *size, "--json", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
        yield from json.loads(out.read_text(encoding="utf-8"))["rows"]
