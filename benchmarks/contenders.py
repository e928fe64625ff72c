"""What is measured: the same system through voltphase, through others, and its bare arithmetic.

All take 28 x 28 images (the others, which have no interpolation of their own, images already on the grid), walk them
through ``depth`` layers 0.30 m apart at 532 nm and 36 um, read out ten regions and fit them to labels with Adam.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

import voltphase as vp
from benchmarks.floor import floor_calls
from voltphase.config import TrainingConfig
from voltphase.core import buffers
from voltphase.core.dtypes import matrix_products
from voltphase.devices import DeviceStates
from voltphase.optics.backends.base import Engine
from voltphase.optics.backends.cpu.backend import CpuExecutor
from voltphase.training.evaluation import Tally
from voltphase.training.steps import Learner, TrainingStep, make_optimizer

WAVELENGTH, PITCH, DISTANCE, CLASSES, IMAGE = 532e-9, 36e-6, 0.30, 10, 28


@dataclass(frozen=True)
class Setting:
    """One cell of the benchmark."""

    size: int = 200  # samples along each side of a plane
    depth: int = 5
    levels: int = 8
    batch: int = 16
    device: str = "cpu"  # where to compute
    seed: int = 0


class Calls(NamedTuple):
    """What is timed: a training step (forward, backward, Adam), and the same batch without gradients."""

    train: Callable[[], object]
    infer: Callable[[], object]


class Missing(Exception):
    """A contender that is not installed here."""


def states(levels: int) -> DeviceStates:
    """A made-up device: phases over less than a turn, amplitudes that vary with them."""
    steps = np.arange(levels)
    amplitude = 0.55 + 0.4 * np.cos(steps * 2.4) ** 2
    return DeviceStates(
        control=steps.astype(float), amplitude=amplitude, phase=5.3 * steps / max(levels - 1, 1), name="bench"
    )


def voltphase_donn(setting: Setting, **options: Any) -> Calls:
    """The network a user of voltphase trains, with its default readout."""
    return _calls(donn(setting, **options), _bytes(setting), setting)


def recorded(setting: Setting, fused: str | None = None, **options: Any) -> Calls:
    """The same, whose step is the one of ``voltphase.train``: on a GPU a CUDA graph.

    Args:
        setting: The cell.
        fused: How fused kernels round, if planes and products are to be fused.
        **options: Of the network.
    """
    model = donn(setting, **options)
    if fused is not None:
        executor: Any = model.executor
        if not hasattr(executor, "fused"):
            raise Missing(f"fused kernels of the back end {model.backend}")
        executor.fused, executor.rounding = True, {False: fused, True: fused}
    return Calls(_stepping([model], setting), _calls(model, _bytes(setting), setting).infer)


def training_step(settings: Sequence[Setting]) -> Callable[[], None]:
    """A step of the networks of some settings that differ in their seeds, all at once."""
    return _stepping([donn(setting) for setting in settings], settings[0])


def _stepping(models: Sequence[vp.DONN], setting: Setting) -> Callable[[], None]:
    step = TrainingStep(
        [Learner(model, make_optimizer(model, TrainingConfig()), Tally(model.task.metrics)) for model in models]
    )
    images, labels = _bytes(setting), torch.randint(0, CLASSES, (setting.batch,), device=setting.device)

    def train() -> None:
        for model in models:
            if not model.training:  # which takes the host longer than to replay a step
                model.train()
        step([(images, labels, 1.0)] * len(models))

    return train


def fresh_memory(setting: Setting) -> Calls:
    """:func:`voltphase_donn` with memory from the operating system each time, instead of used again."""
    calls = voltphase_donn(setting)

    fresh = patch.object(buffers, "_SMALLEST", sys.maxsize)  # as a decorator: while the call lasts
    return Calls(fresh(calls.train), fresh(calls.infer))


def floor(setting: Setting, engine: Engine = "auto") -> Calls:
    """The matrix products or Fourier transforms of :func:`voltphase_donn` and nothing else."""
    model = donn(setting, engine=engine)
    assert isinstance(model.executor, CpuExecutor)
    there, back = floor_calls(model.executor, setting.batch)
    return Calls(lambda: (there(), back()), there)


def floor_gpu(setting: Setting, *, tf32: bool = False) -> Calls:
    """The matrix products of the back end ``cuda`` and nothing else; inference is never in TF32."""
    executor: Any = donn(setting, backend="cuda").executor
    if not hasattr(executor, "hops"):
        raise Missing("the back end cuda")
    there, back = executor.maps()
    size = setting.batch * max(hop.scratch for hop in (*there, *back))
    field, free, out = torch.ones(3, size, dtype=torch.complex64, device=setting.device)

    def products(hops: Sequence[Any], *, rounded: bool) -> None:
        with matrix_products(field.device, tf32=rounded):
            for hop in hops:
                hop(hop.source.view(field, setting.batch), free, hop.target.view(out, setting.batch))

    # The first hop is not crossed on the way back.
    return Calls(lambda: products((*there, *back[1:]), rounded=tf32), lambda: products(there, rounded=False))


def plain_fft(setting: Setting) -> Calls:
    """What one would write in an afternoon: cached transfer functions, padding, torch's own Gumbel-Softmax."""
    return _calls(_PlainFft(setting).to(setting.device), _bytes(setting), setting)


class _PlainFft(nn.Module):
    masks: Tensor
    transfer: Tensor
    amplitude: Tensor
    phase: Tensor

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.size, self.padded = setting.size, 2 * setting.size
        frequency = torch.fft.fftfreq(self.padded, PITCH, dtype=torch.float64)
        squared = frequency[:, None] ** 2 + frequency**2
        phase = -torch.pi * WAVELENGTH * DISTANCE * squared
        self.register_buffer("transfer", torch.polar(torch.ones_like(phase), phase).to(torch.complex64))
        device = states(setting.levels)
        self.register_buffer("amplitude", torch.tensor(device.amplitude, dtype=torch.float32))
        self.register_buffer("phase", torch.tensor(device.phase, dtype=torch.float32))
        self.register_buffer("masks", _masks(setting.size))
        shape = (setting.size, setting.size, setting.levels)
        self.scores = nn.ParameterList(nn.Parameter(torch.randn(shape)) for _ in range(setting.depth))

    def propagate(self, field: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(field, s=(self.padded, self.padded))
        return torch.fft.ifft2(spectrum * self.transfer)[..., : self.size, : self.size]

    def forward(self, images: Tensor) -> Tensor:
        field = nn.functional.interpolate(
            images[:, None] / 255, (self.size, self.size), mode="bilinear", align_corners=False
        )[:, 0].to(torch.complex64)
        for scores in self.scores:
            if self.training:
                weights = nn.functional.gumbel_softmax(scores, tau=1.0, hard=True)
            else:
                weights = nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).float()
            field = torch.polar(weights @ self.amplitude, weights @ self.phase) * self.propagate(field)
        return (self.propagate(field).abs() ** 2).flatten(1) @ self.masks


def lightridge(setting: Setting, *, pad: int) -> Calls:
    """LightRidge's layers with their Gumbel-Softmax, on images already on the grid."""
    # It imports torchvision for data sets alone; an empty stand-in is enough to time its optics.
    names = ("", ".transforms", ".datasets", ".utils")
    for name in names:
        sys.modules.setdefault(f"torchvision{name}", types.ModuleType(f"torchvision{name}"))
    for name in names[1:]:
        setattr(sys.modules["torchvision"], name[1:], sys.modules[f"torchvision{name}"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = import_module("lightridge.layers")
    except ImportError as error:
        raise Missing(str(error)) from error

    device = states(setting.levels)
    phase = torch.tensor(device.phase, dtype=torch.float32, device=setting.device)
    amplitude = torch.tensor(device.amplitude, dtype=torch.float32, device=setting.device)
    common = {
        "wavelength": WAVELENGTH,
        "pixel_size": PITCH,
        "size": setting.size,
        "pad": pad,
        "distance": DISTANCE,
        "precision": setting.levels,
        "amplitude_factor": 1.8,
        "approx": "Fresnel",
    }
    boxes = vp.Regions.paper(setting.size).boxes

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(layers.DiffractLayer(phase, amplitude, **common) for _ in range(setting.depth))
            self.last = layers.DiffractLayer(phase, amplitude, **common, phase_mod=False)
            rows, columns = [box[0] for box in boxes], [box[1] for box in boxes]
            self.detector = layers.Detector(x_loc=rows, y_loc=columns, det_size=boxes[0][2], size=setting.size)

        def forward(self, field: Tensor) -> Tensor:
            for layer in self.layers:
                field = layer(field)
            return self.detector(self.last(field))

    return _calls(Net().to(setting.device), _fields(setting), setting)


def torchoptics(setting: Setting) -> Calls:
    """TorchOptics has no levels: trainable continuous phases, its default propagation."""
    try:  # by name: a type checker's verdict must not depend on what else is installed
        torchoptics, elements = import_module("torchoptics"), import_module("torchoptics.elements")
    except ImportError as error:
        raise Missing(str(error)) from error
    torchoptics.set_default_spacing(PITCH)
    torchoptics.set_default_wavelength(WAVELENGTH)

    class Net(nn.Module):
        masks: Tensor

        def __init__(self) -> None:
            super().__init__()
            phases = (nn.Parameter(torch.rand(setting.size, setting.size)) for _ in range(setting.depth))
            self.system = torchoptics.System(
                *(elements.PhaseModulator(phase, z=DISTANCE * index) for index, phase in enumerate(phases, start=1))
            )
            self.register_buffer("masks", _masks(setting.size))

        def forward(self, field: Tensor) -> Tensor:
            out = self.system.measure_at_z(torchoptics.Field(field), z=DISTANCE * (setting.depth + 1))
            return (out.data.abs() ** 2).float().flatten(1) @ self.masks

    return _calls(Net().to(setting.device), _fields(setting), setting)


CONTENDERS: dict[str, Callable[[Setting], Calls]] = {
    "voltphase": voltphase_donn,
    "voltphase-fresh-memory": fresh_memory,
    "floor": floor,
    "torch-fft": plain_fft,
    "lightridge-pad50": functools.partial(lightridge, pad=50),
    "lightridge-pad100": functools.partial(lightridge, pad=100),
    "torchoptics": torchoptics,
    "voltphase-matrix": functools.partial(voltphase_donn, engine="matrix"),
    "voltphase-fft": functools.partial(voltphase_donn, engine="fft"),
    "floor-matrix": functools.partial(floor, engine="matrix"),
    "floor-fft": functools.partial(floor, engine="fft"),
    "voltphase-reference": functools.partial(voltphase_donn, backend="reference"),
    "voltphase-tf32": functools.partial(voltphase_donn, tf32=True),
    "voltphase-graph": recorded,
    "voltphase-graph-tf32": functools.partial(recorded, tf32=True),
    **{
        f"voltphase-graph-fused-{rounding}": functools.partial(recorded, fused=rounding, tf32=rounding == "tf32")
        for rounding in ("ieee", "tf32", "tf32x3")
    },
    "floor-gpu": floor_gpu,
    "floor-gpu-tf32": functools.partial(floor_gpu, tf32=True),
}
DEFAULT = ("voltphase", "floor", "torch-fft", "lightridge-pad50", "lightridge-pad100", "torchoptics")


def donn(setting: Setting, **options: Any) -> vp.DONN:
    """Our network, with other options of :class:`voltphase.DONN`."""
    return vp.DONN(
        grid=vp.Grid(setting.size, pitch=PITCH),
        wavelength=WAVELENGTH,
        distances=DISTANCE,
        devices=[states(setting.levels)] * setting.depth,
        task=vp.tasks.Classification(differential=False),
        image_shape=(IMAGE, IMAGE),
        relaxation=vp.GumbelSoftmax(),
        seed=setting.seed,
        **options,
    ).to(setting.device)


def _calls(model: nn.Module, images: Tensor, setting: Setting) -> Calls:
    labels = torch.randint(0, CLASSES, (setting.batch,), device=setting.device)
    target = nn.functional.one_hot(labels, CLASSES).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=True)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        loss = (torch.softmax(model(images), -1) - target).square().sum()
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def infer() -> None:
        model.eval()
        model(images)

    return Calls(train, infer)


def _bytes(setting: Setting) -> Tensor:
    return torch.randint(0, 256, (setting.batch, IMAGE, IMAGE), dtype=torch.uint8, device=setting.device)


def _fields(setting: Setting) -> Tensor:
    return torch.rand(setting.batch, setting.size, setting.size, device=setting.device).to(torch.complex64)


def _masks(size: int) -> Tensor:
    masks = torch.zeros(CLASSES, size, size)
    for mask, (row, column, height, width) in zip(masks, vp.Regions.paper(size).boxes, strict=True):
        mask[row : row + height, column : column + width] = 1 / (height * width)
    return masks.flatten(1).T.contiguous()
