"""Light first, electronics behind it: two layers of a modulator and one ordinary linear layer, trained as one.

    python examples/hybrid.py hybrid

trains both on handwritten digits as examples/hybrid.yaml says, draws the report, deploys the optics alone, and lets the
electronics read the light of the system that is rebuilt from the deployed files: 16 regions read the light, and the
electronics make ten classes of them. Then the same in a loop of one's own, where any electronics may follow the light.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import voltphase as vp


def by_configuration(folder: Path, overrides: Sequence[str] = ()) -> float:
    """Train, report, deploy and verify; return the accuracy of the deployed light with the electronics behind it."""
    config = vp.config.load_config(Path(__file__).with_name("hybrid.yaml"), overrides)
    run = vp.train(config, out=folder / "run")
    bench = vp.deploy(run, folder / "bench")
    print(f"report: {vp.report(run)}; {vp.verify(bench).verdict}")
    emulator, test = vp.deployment.Emulator.from_folder(bench), vp.data.load("digits", "test")
    with torch.no_grad():
        answers = run.model.readout.get_submodule("electronics")(emulator(test.images)).argmax(1)
    accuracy = float((answers == test.labels).double().mean())
    print(f"accuracy {run.summary['test_accuracy']:.4f} trained, {accuracy:.4f} from the files")
    return accuracy


def in_a_loop(folder: Path, images: int | None = None, epochs: int = 5) -> float:
    """Train, deploy and verify; return the accuracy of the deployed light with the electronics behind it."""
    train, test = (vp.data.load("digits", split) for split in ("train", "test"))
    train = train if images is None else train.take(images)
    optics = vp.DONN(
        grid=vp.Grid(64, pitch=36e-6),
        wavelength=532e-9,
        distances=0.096,
        devices=[vp.devices.tn_slm().pick(8)] * 2,
        task=vp.tasks.Classification("grid", classes=16, differential=False),
        image_shape=train.image_shape,
    )
    electronics = torch.nn.Linear(16, 10)
    hybrid = torch.nn.Sequential(optics, electronics)
    groups = [*optics.parameter_groups(learning_rate=0.25), {"params": electronics.parameters(), "lr": 0.02}]
    optimizer, epoch = torch.optim.Adam(groups), 0
    batches = vp.training.ImageBatches(train, batch_size=100, seed=0, epoch=lambda: epoch)
    for epoch in range(epochs):
        optics.set_temperature(vp.codesign.ExponentialSchedule()(epoch / max(epochs - 1, 1)))
        for pictures, labels in batches:
            loss = torch.nn.functional.cross_entropy(hybrid(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    bench = vp.deploy(optics.eval(), folder)
    print(vp.verify(bench).verdict)
    emulator = vp.deployment.Emulator.from_folder(bench)
    with torch.no_grad():
        simulated, rebuilt = (torch.argmax(electronics(light(test.images)), 1) for light in (optics, emulator))
    right = [float((answers == test.labels).double().mean()) for answers in (simulated, rebuilt)]
    print(f"accuracy {right[0]:.4f} trained, {right[1]:.4f} from the files with the electronics behind them")
    return right[1]


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python hybrid.py FOLDER, a new one")
    by_configuration(Path(sys.argv[1]))
    in_a_loop(Path(sys.argv[1]) / "bench-of-a-loop")
