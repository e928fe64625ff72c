"""Build the source archive and the wheels, install each where nothing else is, and try it there.

On every Python that pyproject.toml claims and this machine has; the others are named. Needs the packages of the extra
``dev``, and an index or folder of wheels that pip knows.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPORARY_PREFIX = "voltphase-packages-"

# What the light distribution is for, and what it answers when asked for more.
LIGHT = """
import sys, torch, voltphase as vp
grid = vp.Grid(32, 36e-6)
light = vp.Propagator(grid, grid, wavelength=532e-9, distance=0.02)(torch.ones(1, 32, 32, dtype=torch.complex64))
assert light.abs().max() > 0
device = vp.devices.tn_slm().pick(8)
images = torch.randint(0, 256, (4, 8, 8), dtype=torch.uint8)
model = vp.DONN(grid=vp.Grid(64, 36e-6), wavelength=532e-9, distances=0.1, devices=[device] * 2, image_shape=(8, 8))
model(images).sum().backward()
assert model.eval().levels()[0].shape == (64, 64)
assert not {"lightning", "matplotlib", "pydantic", "typer"} & set(sys.modules)
try:
    vp.train
except vp.VoltphaseError as error:
    assert "pip install 'voltphase-light[train]'" in str(error), error
else:
    sys.exit("expected vp.train to need more than the light distribution")
"""


def main() -> int:
    """Build everything, and try it on each Python; return 0 if all of it works."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", help="try on this Python alone, such as 3.12; may be repeated")
    wanted = parser.parse_args().python or claimed_pythons()
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        whole, light = build(Path(folder) / "dist")
        for number, version in enumerate(wanted):
            python = find_python(version)
            if python is None:
                print(f"skipped: there is no Python {version} on this machine")
                continue
            began = time.monotonic()
            environment = Path(folder) / f"python-{version}"
            try_on(python, environment, whole, None if number else light)
            shutil.rmtree(environment)
            print(f"the packages work on Python {version} ({time.monotonic() - began:.0f} s)")
    return 0


def claimed_pythons() -> list[str]:
    """Return the versions of Python in the classifiers, such as ``3.11``, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [line.rsplit(" ", 1)[1] for line in project["classifiers"] if re.fullmatch(r".*Python :: 3\.\d+", line)]


def find_python(version: str) -> str | None:
    """Return the path of an interpreter of this version that runs, from PATH, pyenv or uv; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    candidates = [
        *([sys.executable] if f"{sys.version_info.major}.{sys.version_info.minor}" == version else []),
        *filter(None, [shutil.which(f"python{version}")]),
        *(str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)),
        *(str(path) for path in sorted(uv.glob(f"cpython-{version}.*/bin/python"), reverse=True)),
    ]
    for candidate in candidates:
        question = "import sys, venv, ensurepip; print('{}.{}'.format(*sys.version_info))"
        answer = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return candidate
    return None


def build(out: Path) -> tuple[Path, Path]:
    """Build the source archive, the whole wheel from that archive, and the light wheel from the checkout."""
    run(sys.executable, "-m", "build", "--outdir", out, ROOT)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT / "light")
    (whole,), (light,) = out.glob("voltphase-*.whl"), out.glob("voltphase_light-*.whl")
    print(f"built {whole.name} and {light.name}")
    return whole, light


def try_on(python: str, environment: Path, whole: Path, light: Path | None) -> None:
    """Install the wheels with one Python, the light one first, and use them from a folder without the source."""
    run(python, "-m", "venv", environment)
    there = environment / ("Scripts" if os.name == "nt" else "bin")
    pip = (there / "python", "-m", "pip", "--disable-pip-version-check", "-q")
    install = (*pip, "install", "--no-compile", "--constraint", ROOT / "constraints.txt")
    elsewhere = environment / "elsewhere"
    elsewhere.mkdir()
    if light is not None:
        run(*install, light)
        run(there / "python", "-c", LIGHT, folder=elsewhere)
        run(*pip, "uninstall", "--yes", "voltphase-light")
    run(*install, whole)
    run(*pip, "check")
    run(there / "voltphase", "--version", folder=elsewhere)
    run(there / "voltphase", "demo", "--out", "demo", "--set", "training.epochs=2", folder=elsewhere)


def run(*command: str | Path, folder: Path = ROOT) -> None:
    """Run a command without what this process says about Python; show its output, and end, if it fails."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=outside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nerror: {' '.join(words[:6])} ... ended with {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
