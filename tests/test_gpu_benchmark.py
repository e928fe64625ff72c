"""``make gpu``, tried without a GPU: every stage at a size that measures nothing, and the page of what comes out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import checks, speed
from benchmarks.gpu.base import Run, Stage, in_turns
from benchmarks.gpu.page import TARGETS, page

from voltphase.core.installed import triton_obstacle

SUITES = ("kernels against the oracle", "all tests")
TRIED = [name for name in command.STAGES if name not in (*SUITES, "precision")]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("gpu") / "quick.json"
    assert command.main(["--quick", "--out", str(out), "--stages", *TRIED]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def test_every_stage_gives_rows(result: dict[str, Any]) -> None:
    assert result["measurement"] is False
    assert list(result["stages"]) == TRIED
    rows = {name: stage["rows"] for name, stage in result["stages"].items()}
    assert all(rows.values())
    assert rows["environment"][0]["versions"]["torch"] == torch.__version__
    steps = {row["name"]: row for row in rows["steps"]}
    for name in (*speed.OURS, "voltphase-reference", "torch-fft"):
        assert steps[name]["train_ms"] > 0
        assert steps[name]["infer_ms"] > 0
    fused = {row["name"]: row for row in rows["fused steps"]}
    assert fused["voltphase-graph-fused-tf32x3"]["error"] == "not there: fused kernels of the back end cpu"
    assert "error" in steps["lightridge-pad100"] or steps["lightridge-pad100"]["train_ms"] > 0
    assert [row["name"] for row in rows["designs"] if row["train_ms"] > 0] == ["one after another", "together"]
    trained = {row["name"]: row for row in rows["training"]}
    assert trained["tf32, same seed again"]["same_maps"] is True
    assert trained["tf32"]["test_accuracy"] == pytest.approx(trained["tf32"]["test_accuracy_on_cpu"])
    shares = trained["tf32, same seed again"]["shares_seconds"]
    assert shares["products"] > 0
    assert shares["optimiser"] > 0
    kernels = {row["name"]: row for row in rows["kernels"]}
    assert set(kernels) > {"copy", "product single", "Adam, 4 levels", "Proximity, 4 levels, backward"}
    if triton_obstacle("cpu") is None:
        assert set(kernels) > {"modulate", "region sums", "fused hop, backward, tf32x3"}
        assert [row for row in kernels.values() if "error" in row] == []


def test_the_page_sets_what_was_measured_beside_what_was_asked(result: dict[str, Any]) -> None:
    text = page(result)
    assert "**No measurement**" in text
    assert text.count(" | not measured | ") < len(TARGETS)
    for stage in result["stages"]:
        assert f"## {stage[0].upper()}{stage[1:]}\n" in text
    # A figure comes from the rows and from nowhere else.
    row = next(row for row in result["stages"]["steps"]["rows"] if row["name"] == "voltphase-graph-tf32")
    row["train_ms"] = 4.0
    assert "| training step, TF32 | ≤ 5 ms | 4 ms | 0.80 | no measurement |" in page(result)
    result = {**result, "measurement": True}
    assert "| training step, TF32 | ≤ 5 ms | 4 ms | 0.80 | yes |" in page(result)
    row["train_ms"] = 6.0
    assert "| training step, TF32 | ≤ 5 ms | 6 ms | 1.20 | no |" in page(result)
    assert "| tests that fail | ≤ 0 | not measured | | |" in page(result)


def test_the_page_of_a_run_that_came_to_nothing() -> None:
    text = page({"measurement": True, "stages": {}})
    assert text.count(" | not measured | ") == len(TARGETS)
    assert "No measurement" not in text


def test_a_stage_that_fails_or_takes_too_long_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Run) -> Iterator[dict[str, Any]]:
        yield {"name": "first"}
        raise RuntimeError("no kernel\nimage")

    monkeypatch.setitem(command.STAGES, "failing", Stage(5, failing))
    assert command.measure("failing", Run("cpu", quick=True), tmp_path / "part") == 1
    assert json.loads((tmp_path / "part").read_text()) == {
        "rows": [{"name": "first"}],
        "error": "RuntimeError: no kernel image",
    }
    sleeping = "import sys, time; open(sys.argv[1], 'w').write('{\"rows\": [1]}'); time.sleep(60)"
    stopped = command.apart([sys.executable, "-c", sleeping, str(tmp_path / "part")], tmp_path / "part", 2.0)
    assert (stopped["outcome"], stopped["rows"]) == ("stopped", [1])
    assert stopped["seconds"] < 20
    assert not (tmp_path / "part").exists()


def test_a_suite_counts_its_outcomes(tmp_path: Path) -> None:
    tests = tmp_path / "test_some.py"
    tests.write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): pytest.skip('here')\n"
        "def test_d(no_such_fixture): pass\n"
    )
    row = checks.suite([str(tests)], 60)
    assert (row["passed"], row["failed"], row["skipped"]) == (1, 2, 1)
    assert [name.rpartition(".")[2] for name in row["failures"]] == ["test_b", "test_d"]


def test_calls_take_turns_and_one_that_fails_stops_no_other() -> None:
    called: list[str] = []

    def fail() -> None:
        raise MemoryError("no memory")

    calls = {"a": lambda: called.append("a"), "broken": fail, "b": lambda: called.append("b")}
    found, errors = in_turns(calls, Run("cpu", quick=True), seconds=1)
    assert called == ["a", "b"]
    assert {name: len(times) for name, times in found.items()} == {"a": 1, "b": 1}
    assert errors == {"broken": "MemoryError: no memory"}


def test_a_suite_that_takes_too_long_says_what_it_has_found(tmp_path: Path) -> None:
    tests = tmp_path / "test_long.py"
    tests.write_text("import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\n")
    row = checks.suite([str(tests)], checks._ENDING + 8)
    assert row["error"] == "stopped after 8 s"
    assert row["failed"] == 0


def test_no_gpu_is_a_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([]) == 2
    assert "expected a CUDA GPU, but PyTorch finds none here" in capsys.readouterr().out


def test_stages_share_the_time_and_are_written_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, float]] = []
    written: list[list[str]] = []

    def apart(stage: str, _: object, seconds: float) -> dict[str, Any]:
        given.append((stage, seconds))
        written.append(list(json.loads(out.read_text())["stages"]) if out.exists() else [])
        return {"outcome": "stopped" if stage == "steps" else "done", "seconds": 1.0, "rows": []}

    out = tmp_path / "gpu.json"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU 9000 (X)")
    monkeypatch.setattr(command, "_apart", apart)
    assert command.main(["--out", str(out), "--minutes", "1"]) == 1
    stages = list(command.STAGES)
    assert [stage for stage, _ in given] == stages
    assert all(seconds <= 60 for _, seconds in given)
    assert written == [stages[:count] for count in range(len(stages))]
    assert json.loads(out.read_text())["measurement"] is True
    # Without a name for it the file is named for the GPU.
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    assert command.main(["--stages", "levels"]) == 0
    assert (tmp_path / "gpu-some-gpu-9000-x.json").exists()


def test_a_stage_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = command._parser().parse_args(["--out", str(tmp_path / "gpu.json")])
    stage = command._apart("environment", options, 120.0)
    assert (stage["outcome"], stage["rows"][0]["seed"]) == ("done", 0)
    assert list(tmp_path.iterdir()) == []
    # To start and to import everything is part of a stage's time.
    given: list[Run] = []
    monkeypatch.setattr(command, "measure", lambda _, run, __: given.append(run) or 0)
    assert command.main(["--stages", "steps", "--part", str(tmp_path / "part"), "--seconds", "1000"]) == 0
    assert 1000 - given[0].seconds == pytest.approx(time.time() - psutil.Process().create_time(), abs=5)
    assert command._apart("environment", options, 1.0)["outcome"] == "no time left"
