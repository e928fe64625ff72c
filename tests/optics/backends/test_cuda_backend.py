"""The back end for GPUs: on one where there is one, else in Triton's interpreter, against the plain walk in double."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import voltphase as vp
from voltphase.core import installed
from voltphase.core.errors import ConfigError
from voltphase.optics.backends import CudaBackend, Executor, Options, Reference
from voltphase.optics.backends.cuda.hops import Hop
from voltphase.optics.backends.select import BackendWarning, select
from voltphase.optics.kernels.axis import Axis, Matrix, Toeplitz
from voltphase.optics.kernels.common_grid import CommonGrid
from voltphase.optics.kernels.even_odd import join_halves, split_halves
from voltphase.optics.kernels.kernel import Diagonal, Kernel, Separable, Spectral
from voltphase.optics.stack import Stack
from voltphase.tasks import Classification

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.skipif(installed.triton_obstacle(DEVICE) is not None, reason="needs Triton")

# Sums of float32 in two orders, of some dozen terms; of an amplitude's gradient, the square roots as well.
ROUNDING = 5e-6

Shape = tuple[int, int]
Read = Callable[..., Tensor]


def chirp(grid: CommonGrid) -> Tensor:
    distance = grid.displacements().abs()
    return torch.polar(1 / (1 + distance), distance**2 / 7 + 0.3 * distance)


def axis(n_out: int, n_in: int, shift: float) -> Axis:
    """A chirp between two axes, which are centred on each other without a shift."""
    grid = CommonGrid(1.0, (n_in - n_out) / 2 + shift, n_in, 1, n_out, 1)
    return Toeplitz(shift == 0, grid, partial(chirp, grid))


def structureless(n_out: int, n_in: int) -> Axis:
    matrix = torch.randn(n_out, n_in, dtype=torch.complex128)
    return Matrix(False, (n_out, n_in), lambda: matrix)


def hop(source: Shape, target: Shape, shifts: tuple[float, float] = (0, 0)) -> Separable:
    return Separable(*(axis(n_out, n_in, shift) for n_out, n_in, shift in zip(target, source, shifts, strict=True)))


def lens(shape: Shape) -> Diagonal:
    factor = torch.randn(shape, dtype=torch.complex128)
    return Diagonal(shape, partial(torch.clone, factor))


def stack(steps: list[Kernel]) -> Stack:
    return Stack(tuple((step,) for step in steps))


class System:
    """The same stack on both back ends, and light for it."""

    def __init__(self, steps: list[Kernel], batch: int) -> None:
        made = self.stack = stack(steps)
        self.ours: Executor = CudaBackend().compile(made, Options(device=DEVICE)).to(DEVICE)
        self.theirs: Executor = Reference().compile(made, Options(torch.complex128))
        self.planes = [made.source_shape, *made.shapes]
        self.images = torch.rand(batch, *self.planes[0])
        self.modulations = [torch.randn(shape, dtype=torch.complex64) for shape in self.planes[1:-1]]
        rows, columns = self.planes[-1]
        self.masks = torch.rand(rows, 3), torch.rand(columns, 3)

    def results(self, executor: Executor, read: Read, wanted: list[bool] | None = None) -> list[Tensor]:
        """What is read, and the gradients of a sum of it with fixed weights."""
        device, double = next(executor.buffers()).device, executor.dtype == torch.complex128

        def there(tensor: Tensor) -> Tensor:
            if double:
                tensor = tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
            return tensor.to(device)

        inputs = [there(tensor).clone() for tensor in (self.images, *self.modulations)]
        for tensor, want in zip(inputs, wanted or [True] * len(inputs), strict=True):
            tensor.requires_grad_(want)
        found = read(executor, inputs[0], inputs[1:], *map(there, self.masks))
        weight = torch.randn(found.shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
        total = (found * there(weight.to(torch.complex64)).conj()).real.sum()
        gradients = torch.autograd.grad(total, [tensor for tensor in inputs if tensor.requires_grad])
        return [tensor.detach().cpu() for tensor in (found, *gradients)]

    def assert_same(self, *reads: Read, wanted: list[bool] | None = None) -> None:
        for read in reads:
            for mine, exact in zip(
                self.results(self.ours, read, wanted), self.results(self.theirs, read, wanted), strict=True
            ):
                assert mine.shape == exact.shape
                assert float((mine - exact).abs().max()) <= ROUNDING * float(exact.abs().max())


def field(executor: Executor, images: Tensor, modulations: list[Tensor], *_: Tensor) -> Tensor:
    return executor(images, modulations)


def intensity(executor: Executor, images: Tensor, modulations: list[Tensor], *masks: Tensor) -> Tensor:
    return executor.sums(images, modulations, *masks)


def amplitude(executor: Executor, images: Tensor, modulations: list[Tensor], *masks: Tensor) -> Tensor:
    return executor.sums(images, modulations, *masks, amplitude=True)


def test_centred_planes_of_even_and_odd_sizes() -> None:
    planes = [(3, 4), (5, 6), (4, 3), (6, 5), (3, 5)]
    System([hop(*pair) for pair in pairwise(planes)], batch=3).assert_same(intensity, amplitude)


def test_fields_that_are_computed_again_give_the_same_bits() -> None:
    system = System([hop((2, 3), (2, 3))] * 3, batch=2)
    again = CudaBackend().compile(system.stack, Options(device=DEVICE, checkpoint_fields=True)).to(DEVICE)
    kept: list[Tensor] = []
    found, sizes = [], []
    for executor in (system.ours, again):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
            found.append(system.results(executor, intensity))
        sizes.append(sum(one.numel() for one in kept))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    assert sizes[1] < sizes[0]


def test_planes_off_centre_along_one_axis_or_both() -> None:
    planes = [(3, 4), (5, 4), (4, 5), (4, 3)]
    shifts = [(0.5, 0.0), (0.0, 1.0), (0.25, -1.5)]
    steps: list[Kernel] = [hop(*pair, shift) for pair, shift in zip(pairwise(planes), shifts, strict=True)]
    System(steps, batch=1).assert_same(field, amplitude)


def test_kernels_without_structure_and_one_modulated_plane() -> None:
    planes = [(4, 3), (5, 3), (3, 5)]
    steps: list[Kernel] = [Separable(structureless(b[0], a[0]), structureless(b[1], a[1])) for a, b in pairwise(planes)]
    System(steps, batch=2).assert_same(field, intensity)


def test_factors_such_as_lenses_stand_anywhere() -> None:
    planes = [(3, 4), (4, 4), (5, 3)]
    first, second = (hop(*pair) for pair in pairwise(planes))
    between = lens(planes[1])
    steps: list[Kernel] = [lens(planes[0]).then(first).then(between), between.then(second).then(lens(planes[2]))]
    System(steps, batch=2).assert_same(field)


@pytest.mark.parametrize("split_rows", [True, False])
def test_a_plane_and_its_products_in_fused_kernels(split_rows: bool) -> None:
    planes = [(3, 4), (4, 5), (3, 3), (2, 4)]
    shifts = (0.0 if split_rows else 0.5, 0.0)
    system = System([hop(*pair, shifts) for pair in pairwise(planes)], batch=2)
    system.ours.fused = True  # type: ignore[assignment]
    for each in system.ours.modules():
        if isinstance(each, Hop):  # in the order that the kernels are for
            each.columns_first = True
            each.scratch *= 2
    system.assert_same(amplitude)


def test_fused_kernels_of_more_columns_than_a_program_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from voltphase.optics.backends.cuda import fused

    monkeypatch.setattr(fused, "COLUMNS", 16)
    system = System([hop((1, 34), (1, 34))] * 2, batch=2)
    system.ours.fused = True  # type: ignore[assignment]
    system.assert_same(field)


@pytest.mark.parametrize("batch", [0, 33])
def test_a_batch_that_leaves_a_remainder_and_an_empty_one(batch: int) -> None:
    system = System([hop((2, 3), (3, 2)), hop((3, 2), (2, 3))], batch)
    for read in (field, intensity):
        for mine, exact in zip(system.results(system.ours, read), system.results(system.theirs, read), strict=True):
            torch.testing.assert_close(mine.to(exact.dtype), exact, rtol=1e-4, atol=1e-4)


def test_more_regions_than_a_program_has_at_a_time() -> None:
    system = System([hop((2, 3), (2, 3)), hop((2, 3), (2, 3))], batch=2)
    system.masks = torch.rand(2, 65), torch.rand(3, 65)
    system.assert_same(intensity)


@pytest.mark.parametrize("wanted", [[False, True, False], [False, False, True], [True, False, False]])
def test_only_what_is_asked_for_has_a_gradient(wanted: list[bool]) -> None:
    planes = [(2, 2), (2, 3), (3, 2), (2, 2)]
    System([hop(*pair) for pair in pairwise(planes)], batch=2).assert_same(field, wanted=wanted)


def test_the_adjoint_of_a_modulation_is_the_transposed_walk() -> None:
    system = System([hop((3, 3), (4, 5)), hop((4, 5), (5, 4))], batch=2)
    _, _, back = system.results(system.ours, field)
    with torch.no_grad():
        there = field(system.ours, system.images.to(DEVICE), [m.to(DEVICE) for m in system.modulations]).cpu()
    weight = torch.randn(there.shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    ours = torch.vdot(weight.flatten().to(torch.complex64), there.flatten())
    theirs = torch.vdot(back.flatten(), system.modulations[0].flatten())
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_gradients_are_the_differences_of_light() -> None:
    system = System([hop((3, 3), (4, 3)), hop((4, 3), (3, 4))], batch=2)
    images, masks = system.images.to(DEVICE), [mask.to(DEVICE) for mask in system.masks]
    modulation = system.modulations[0].to(DEVICE).requires_grad_()
    intensity(system.ours, images, [modulation], *masks).sum().backward()
    direction = torch.randn_like(modulation)
    with torch.no_grad():
        # Intensity is quadratic in one modulation: its slope is this difference, whatever the step.
        ends = [intensity(system.ours, images, [modulation + sign * direction], *masks).sum() for sign in (1, -1)]
    assert modulation.grad is not None
    slope = (modulation.grad.conj() * direction).real.sum()
    torch.testing.assert_close((ends[0] - ends[1]) / 2, slope, rtol=1e-5, atol=1e-4)


def test_images_of_every_type_are_the_same_light() -> None:
    system = System([hop((3, 3), (3, 4)), hop((3, 4), (2, 2))], batch=2)
    modulations = [m.to(DEVICE) for m in system.modulations]
    bits = torch.randint(0, 2, (2, 3, 3), device=DEVICE, dtype=torch.uint8)
    fields = [
        system.ours(images, modulations)
        for images in (255 * bits, bits.bool(), bits.double(), bits.half(), bits.to(torch.complex64))
    ]
    assert all(torch.equal(fields[0], other) for other in fields[1:])


def test_there_is_no_slope_in_the_dark() -> None:
    system = System([hop((2, 2), (2, 2)), hop((2, 2), (2, 2))], batch=1)
    system.images.zero_()
    assert not any(found.any() for found in system.results(system.ours, amplitude))
    system.images.fill_(1e-30)  # whose square is no number above 0
    system.assert_same(amplitude)


@pytest.mark.parametrize("split_in", [(False, True), (True, False)])
@pytest.mark.parametrize("split_out", [(True, True), (False, False)])
def test_the_kernel_between_products(split_in: tuple[bool, bool], split_out: tuple[bool, bool]) -> None:
    from voltphase.optics.backends.cuda.kernels import modulate
    from voltphase.optics.backends.cuda.layout import Packed

    shape, batch = (3, 4), 2
    source, target = Packed(shape, split_in), Packed(shape, split_out)
    light, other = (torch.randn(batch, *shape, dtype=torch.complex64) for _ in range(2))
    factor = torch.randn(shape, dtype=torch.complex64)
    out = torch.empty(target.sizes(batch), dtype=torch.complex64, device=DEVICE)
    given = [fold(fields, packed.split).to(DEVICE) for fields, packed in ((light, source), (other, target))]
    sums = modulate(given[0], source, out, target, factor=factor.to(DEVICE), field=given[1])
    # Sums and differences, not means: the matrices hold a half for each axis.
    found = unfold(out.cpu(), shape, split_out) / 2 ** sum(split_out)
    torch.testing.assert_close(found, factor * light, rtol=1e-5, atol=1e-5)
    assert sums is not None
    torch.testing.assert_close(sums.cpu(), (light * other).sum(0).conj(), rtol=1e-5, atol=1e-5)


def fold(fields: Tensor, split: tuple[bool, bool]) -> Tensor:
    """Fields as sums and differences of halves, whose sums and differences are the halves again."""
    for dim, halved in ((-2, split[0]), (-1, split[1])):
        halves = split_halves(fields, dim) if halved else fields[None]
        fields = torch.stack((halves[0] + halves[1], halves[0] - halves[1])) / 2 if halved else halves
    return fields.transpose(2, 3).contiguous()


def unfold(packed: Tensor, shape: Shape, split: tuple[bool, bool]) -> Tensor:
    fields = packed.transpose(2, 3)
    for dim, halved in ((-1, split[1]), (-2, split[0])):
        halves = torch.stack((fields[0] + fields[1], fields[0] - fields[1])) if halved else fields
        fields = join_halves(halves, dim, shape[dim]) if halved else halves[0]
    return fields


def donn(backend: str = "cuda", **changes) -> vp.DONN:
    options = {
        "grid": vp.Grid(10, 36e-6),
        "wavelength": 532e-9,
        "distances": 0.01,
        "devices": [vp.devices.tn_slm().pick(4)] * 2,
        "task": Classification(scale=20.0),
        "image_shape": (4, 4),
        "backend": backend,
    }
    return vp.DONN(**(options | changes))


def test_two_steps_of_training_are_those_of_the_reference() -> None:
    images, labels = torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8), torch.tensor([1, 5, 7])
    seen: list[list[Tensor]] = []
    for backend in ("cuda", "reference"):
        model = donn(backend).to(DEVICE)
        assert model.backend == backend
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        seen.append([])
        for _ in range(2):
            logits = model(images.to(DEVICE))
            optimizer.zero_grad()
            model.task.compute_loss(logits, labels.to(DEVICE)).backward()
            seen[-1] += [logits.detach().cpu(), *(p.grad.cpu() for p in model.parameters() if p.grad is not None)]
            optimizer.step()
    for ours, theirs in zip(*seen, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize(
    ("options", "kernel", "reason"),
    [
        (Options(torch.complex128, device=DEVICE), hop((4, 4), (4, 4)), "single precision"),
        (Options(engine="fft", device=DEVICE), hop((4, 4), (4, 4)), "matrix products alone"),
        (Options(device=DEVICE), Spectral((4, 4), (4, 4), (8, 8), pytest.fail), "neither separable nor diagonal"),
        (Options(device="mps"), hop((4, 4), (4, 4)), "CUDA GPUs alone"),
    ],
)
def test_it_says_what_it_cannot_run(options: Options, kernel: Kernel, reason: str) -> None:
    obstacle = CudaBackend().obstacle(stack([hop((4, 4), (4, 4)), kernel]), options)
    assert obstacle is not None
    assert reason in obstacle


def test_a_gpu_gets_it_wherever_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = stack([hop((200, 200), (200, 200))] * 6)
    selected = select(plain, Options(device="cuda"))
    assert selected.name == "cuda"
    # A prototype took 9.9 and 25 µs an image of a step on an H200, with TF32 and without.
    assert 8e3 < CudaBackend().cost(plain, Options(device="cuda", tf32=True)) < 15e3
    assert 20e3 < CudaBackend().cost(plain, Options(device="cuda")) < 32e3
    assert "ms an image on a GPU" in selected.reason
    assert "cpu cannot, because it runs on CPUs alone" in selected.reason
    assert select(plain, Options(torch.complex128, device="cuda")).name == "reference"
    assert select(plain, Options()).name == "cpu"
    monkeypatch.setattr(installed, "_has_triton", lambda: False)
    with pytest.warns(BackendWarning, match=r"Triton is not installed .*: 'reference' runs"):
        assert select(plain, Options(device="cuda")).name == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Triton would not help
        assert select(plain, Options(torch.complex128, device="cuda")).name == "reference"


def test_a_back_end_for_gpus_waits_for_a_network_that_is_made_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = stack([hop((4, 4), (4, 4))] * 2)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    selected = select(plain, Options(), "cuda")
    assert selected.name in ("cpu", "reference")
    assert selected.reason.startswith("cuda runs once the network is on a GPU; until then")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    with pytest.raises(ConfigError, match="'cuda' cannot, because its kernels run on CUDA GPUs alone"):
        select(plain, Options(), "cuda")


@pytest.mark.parametrize("has_triton", [True, False])
def test_what_a_gpu_has_trained_is_read_elsewhere(monkeypatch: pytest.MonkeyPatch, has_triton: bool) -> None:
    plain = stack([hop((4, 4), (4, 4))] * 2)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(installed, "_has_triton", lambda: has_triton)
    with pytest.warns(
        BackendWarning, match="'cuda' cannot run here, because its kernels run on CUDA GPUs alone: 'cpu'"
    ):
        assert select(plain, Options(), "cuda").name == "cpu"
    with pytest.raises(ConfigError, match="'cuda' cannot, because"):
        select(plain, Options(torch.complex128), "cuda")


def test_a_network_that_moves_is_run_by_what_runs_there() -> None:
    model = donn("auto").eval()
    assert model.backend == "cpu"
    model.to("meta")
    assert model.backend == "reference"
    assert "cpu cannot, because it runs on CPUs alone" in str(model.explain())
    assert not model.executor.training
    assert {buffer.device.type for buffer in model.buffers()} == {"meta"}
    stays = donn("cpu")
    with pytest.raises(ConfigError, match="'cpu' cannot, because it runs on CPUs alone"):
        stays.to("meta")
    assert stays(torch.zeros(1, 4, 4)).device.type == "cpu"


def test_reference_says_what_pytorch_lacks_on_a_device_that_is_not_there() -> None:
    device = "xpu" if not torch.xpu.is_available() else "hpu"
    obstacle = Reference().obstacle(stack([hop((4, 4), (4, 4))] * 2), Options(device=device))
    assert obstacle is not None
    assert f"PyTorch cannot compute with torch.complex64 on {device}" in obstacle
    with pytest.raises(ConfigError, match=f"a back end that can run this network on {device}, but"):
        select(stack([hop((4, 4), (4, 4))] * 2), Options(device=device))


@pytest.mark.parametrize("device", ["gpu", "cuda:0", None])
def test_a_type_of_device_is_one_that_pytorch_knows(device: str) -> None:
    with pytest.raises(ConfigError, match='expected a type of device such as "cpu" or "cuda", but got'):
        Options(device=device)
