"""A network of different devices, with different numbers of states, on planes of different sizes: all the way."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.devices import DevicePanel, DeviceStates
from voltphase.training import load_run

EXAMPLE = Path(__file__).parents[1] / "examples" / "mixed-devices.yaml"
MEASURED = """# name: bench SLM
# control_unit: V
level,control,amplitude,phase
0,0.0,0.98,0.00
1,1.2,0.91,0.74
2,1.9,0.66,1.93
3,2.3,0.71,3.60
4,3.1,0.85,5.02
"""
SIZES = [16, 16, 16, 16, 16, 24, 20]


def call(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("undrawn")
def test_mixed_devices_train_deploy_and_verify_like_any_other(tmp_path: Path):
    run, bench, table = tmp_path / "run", tmp_path / "bench", tmp_path / "slm.csv"
    table.write_text(MEASURED)
    settings = [
        *(f"optics.size={SIZES}", "optics.distances=0.02"),
        *(f"devices.0.file={table}", "devices.0.levels=null", "devices.1.border=[1, 0, 2, 0]"),
        *("data.train_limit=100", "data.test_limit=50", "training.epochs=2", "training.batch_size=50"),
    ]
    call("train", EXAMPLE, "--out", run, *(word for setting in settings for word in ("--set", setting)))
    table.unlink()
    model, _, summary = load_run(run)
    assert [about["name"] for about in summary["devices"]] == [
        *("bench SLM", "lcos", "dmd", "ferroelectric", "printed")
    ]
    assert [about["levels"] for about in summary["devices"]] == [5, 16, 2, 2, 4]
    assert [grid.shape for grid in model.grids] == [(size, size) for size in SIZES]
    assert call("evaluate", run).startswith(f"test accuracy {summary['test_accuracy']:.4f}: ")
    call("deploy", run, "--out", bench)
    verdict = call("verify", bench)
    assert f"accuracy {summary['test_accuracy']:.4f} from the files" in verdict
    assert "50 of 50 predictions equal" in verdict
    manifest = json.loads((bench / "manifest.json").read_text())
    assert [layer["regions"] is not None for layer in manifest["layers"]] == [False, True, False, False, False]
    levels = [np.load(bench / f"layer-{number}-levels.npy") for number in range(1, 6)]
    assert [int(of_layer.max()) < k for of_layer, k in zip(levels, (5, 16, 2, 2, 4), strict=True)] == [True] * 5
    page = Path(call("report", run).removeprefix("report: ").strip()).read_text(encoding="utf-8")
    assert "5 layers of 5 different devices in free space, 16 × 16 to 24 × 24 pixels each" in page
    assert "16 × 16 to 24 × 24, pitch 24 to 36 µm" in page


def test_the_example_says_what_it_is():
    # Its own sizes and borders, without training at them.
    from voltphase.config import load_config
    from voltphase.training import build_devices, build_model

    config = load_config(EXAMPLE)
    planes = zip(config.optics.sizes, config.optics.pitches, strict=True)
    extents = {round(one * apart, 9) for size, pitch in planes for one, apart in zip(size, pitch, strict=True)}
    assert extents == {64 * 36e-6}
    devices = build_devices(config)
    assert [(device.name, len(device)) for device in devices] == [
        *(("tn-slm", 8), ("lcos", 16), ("dmd", 2), ("ferroelectric", 2), ("printed", 4))
    ]
    assert [type(device) for device in devices] == [DeviceStates, DevicePanel, *[DeviceStates] * 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = build_model(config, devices, (8, 8))
    assert [grid.pitch[0] for grid in model.grids] == [36e-6] * 5 + [24e-6, 36e-6]
