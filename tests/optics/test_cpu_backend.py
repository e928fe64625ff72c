from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.core.errors import GeometryError
from voltphase.optics.backends.base import Engine, Executor, Options
from voltphase.optics.backends.cpu import fourier
from voltphase.optics.backends.cpu.backend import CpuBackend
from voltphase.optics.backends.reference import Reference
from voltphase.optics.kernels.axis import Axis, Matrix, Toeplitz
from voltphase.optics.kernels.common_grid import CommonGrid
from voltphase.optics.kernels.kernel import Convolution, Diagonal, Kernel, Separable, Spectral
from voltphase.optics.stack import Stack

# Two orders of the same float64 sums, and of float32 ones.
ROUNDING, SINGLE_ROUNDING = 1e-12, 2e-5

Shape = tuple[int, int]


def points(sources: int, targets: int, shift: float = 0.0, strides: Shape = (1, 1)) -> CommonGrid:
    """Points of two centred axes, ``shift`` samples apart."""
    return CommonGrid(1.0, (sources - targets) / 2 + shift, sources, strides[0], targets, strides[1])


def chirp(grid: CommonGrid) -> torch.Tensor:
    distance = grid.displacements().abs()
    return torch.polar(1 / (1 + distance), distance**2 / 7 + 0.3 * distance)


def toeplitz(n_out: int, n_in: int, shift: float = 0.0) -> Axis:
    """A chirp between two axes."""
    grid = points(n_in, n_out, shift)
    return Toeplitz(shift == 0, grid, partial(chirp, grid))


def strided(n_in: int, n_out: int, strides: Shape) -> Axis:
    """A chirp between two axes with samples at some of the points that both share."""
    grid = points(n_in, n_out, strides=strides)
    return Toeplitz(False, grid, partial(chirp, grid))


def structureless(n_out: int, n_in: int) -> Axis:
    matrix = torch.randn(n_out, n_in, dtype=torch.complex128)
    return Matrix(False, (n_out, n_in), lambda: matrix)


def kernels(planes: list[Shape], kind: Callable[[int, int], Axis] = toeplitz) -> list[Kernel]:
    return [Separable(kind(b[0], a[0]), kind(b[1], a[1])) for a, b in pairwise(planes)]


def convolution(source: Shape, target: Shape, size: Shape) -> Convolution:
    transfer = torch.randn(size, dtype=torch.complex128)
    rows, columns = (points(*counts) for counts in zip(source, target, strict=True))
    return Convolution(rows, columns, size, lambda: transfer)


def compiled(steps: Sequence[Kernel], engine: Engine = "auto", dtype: torch.dtype = torch.complex128) -> Executor:
    return CpuBackend().compile(stack(steps), Options(dtype, engine))


def stack(steps: Sequence[Kernel]) -> Stack:
    return Stack(tuple((step,) for step in steps))


def apply(kernel: Kernel, field: torch.Tensor) -> torch.Tensor:
    for part in kernel.parts:
        if isinstance(part, Separable):
            field = part.rows.matrix @ field @ part.columns.matrix.mT
        elif isinstance(part, Convolution):
            spectrum = torch.fft.fft2(field, s=part.size) * part.transfer
            field = torch.fft.ifft2(spectrum)[..., : part.target_shape[0], : part.target_shape[1]]
        else:
            assert isinstance(part, Diagonal)
            field = field * part.factor
    return field


def one_by_one(images: torch.Tensor, modulations: list[torch.Tensor], steps: Sequence[Kernel]) -> torch.Tensor:
    first, *rest = steps
    field = apply(first, images.to(torch.complex128))
    for modulation, kernel in zip(modulations, rest, strict=True):
        field = apply(kernel, modulation * field)
    return field


def inputs(planes: list[Shape], batch: int = 3) -> tuple[torch.Tensor, list[torch.Tensor]]:
    images = torch.rand(batch, *planes[0], dtype=torch.float64, requires_grad=True)
    modulations = [torch.randn(shape, dtype=torch.complex128, requires_grad=True) for shape in planes[1:-1]]
    return images, modulations


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = ROUNDING) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).detach().abs().max()) <= tolerance * float(theirs.detach().abs().max())


def assert_same_system(steps: Sequence[Kernel], planes: list[Shape], engine: Engine) -> None:
    executor = compiled(steps, engine)
    images, modulations = inputs(planes)
    ours, theirs = executor(images, modulations), one_by_one(images, modulations, steps)
    assert_same(ours, theirs)
    weight = torch.randn_like(theirs)
    gradients = [
        torch.autograd.grad((field.abs().square() + (field * weight).real).sum(), [images, *modulations])
        for field in (ours, theirs)
    ]
    for mine, wanted in zip(*gradients, strict=True):
        assert_same(mine, wanted)


@pytest.fixture(params=[fourier.SLAB, 40], ids=["at once", "in slabs"])
def slabs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transforms of all rows at once, and of two or three rows at a time, as of large planes."""
    monkeypatch.setattr(fourier, "SLAB", request.param)


SIZES = st.integers(1, 9)
PLANES = st.lists(st.tuples(SIZES, SIZES), min_size=3, max_size=5)
ENGINES: list[Engine] = ["matrix", "fft", "auto"]


@pytest.mark.parametrize("engine", ENGINES)
@settings(deadline=None, max_examples=25)
@given(planes=PLANES)
def test_centred_kernels_of_any_sizes_are_those_applied_one_by_one(engine: Engine, planes: list[Shape]) -> None:
    assert_same_system(kernels(planes), planes, engine)


@pytest.mark.parametrize("engine", ENGINES)
@settings(deadline=None, max_examples=25)
@given(planes=PLANES, shift=st.floats(-2, 2), shifted=st.integers(0, 3))
def test_a_kernel_off_centre_among_centred_ones(
    engine: Engine, planes: list[Shape], shift: float, shifted: int
) -> None:
    steps = kernels(planes)
    shifted %= len(steps)
    (rows, columns), (rows_out, columns_out) = planes[shifted : shifted + 2]
    steps[shifted] = Separable(toeplitz(rows_out, rows, shift), toeplitz(columns_out, columns))
    assert_same_system(steps, planes, engine)


@pytest.mark.usefixtures("slabs")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rows", [[0, 1, 3], [2, 3], list(range(5))])
@pytest.mark.parametrize("detector", [(5, 7), (5, 4)])
def test_some_samples_of_the_detector(engine: Engine, rows: list[int], detector: Shape) -> None:
    planes = [(4, 3), (6, 5), (5, 7), detector]
    *before, last = kernels(planes)
    columns = [3, 1, 0]
    window = last.then(Separable.select(rows, columns, detector))
    assert_same_system([*before, window], [*planes[:-1], (len(rows), len(columns))], engine)
    images, modulations = inputs(planes)
    walked = Reference().compile(stack([*before, window]), Options(torch.complex128, engine))(images, modulations)
    assert_same(walked, one_by_one(images, modulations, [*before, window]))


def test_some_samples_of_a_large_detector_are_transformed() -> None:
    planes = [(600, 600)] * 3
    whole = stack(kernels(planes))
    rows = [*range(100, 200), *range(400, 500)]
    assert CpuBackend().compile(whole.onto(rows, rows), Options()).engines == ("fft", "fft")


@pytest.mark.parametrize("engine", ENGINES)
def test_kernels_without_structure(engine: Engine) -> None:
    planes = [(4, 3), (6, 5), (5, 7), (3, 4)]
    assert_same_system(kernels(planes, structureless), planes, engine)


@pytest.mark.parametrize("mirrored", [True, False])
def test_factors_on_the_way_such_as_lenses(mirrored: bool) -> None:
    planes = [(4, 3), (6, 5), (5, 7), (3, 4)]
    factors = {shape: torch.randn(shape, dtype=torch.complex128) for shape in planes}
    lenses = [Diagonal(shape, partial(torch.clone, factor)) for shape, factor in factors.items()]
    first, second, third = kernels(planes, toeplitz if mirrored else structureless)
    for engine in ENGINES:
        assert_same_system([lenses[0].then(first), second.then(lenses[2]), third], planes, engine)


def test_centred_kernels_cost_half() -> None:
    planes = [(100, 100)] * 4
    centred, other = (
        CpuBackend().cost(stack(kernels(planes, kind)), Options(engine="matrix")) for kind in (toeplitz, structureless)
    )
    assert centred < 0.75 * other


@pytest.mark.parametrize("engine", ["matrix", "fft"])
def test_gradcheck(engine: Engine) -> None:
    planes = [(2, 3), (5, 4), (4, 6), (3, 4)]
    executor = compiled(kernels(planes), engine)
    images, modulations = inputs(planes, 2)
    assert torch.autograd.gradcheck(lambda x, *m: executor(x, m), [images, *modulations])


@pytest.mark.parametrize("engine", ["matrix", "fft"])
@pytest.mark.parametrize("detector", [(5, 7), (6, 4)])
@pytest.mark.parametrize("amplitude", [False, True])
def test_sums_are_those_of_the_field(engine: Engine, detector: Shape, amplitude: bool) -> None:
    planes = [(4, 4), (7, 6), (7, 6), detector]
    executor = compiled(kernels(planes), engine)
    images, modulations = inputs(planes)
    rows, columns = (torch.rand(n, 3, dtype=torch.float64) for n in detector)
    ours = executor.sums(images, modulations, rows, columns, amplitude=amplitude)
    light = executor(images, modulations).abs()
    theirs = torch.einsum("byx,yr,xr->br", light if amplitude else light.square(), rows, columns)
    assert_same(ours, theirs)
    weight = torch.randn_like(theirs)
    for mine, wanted in zip(
        *(torch.autograd.grad((total * weight).sum(), [images, *modulations]) for total in (ours, theirs)), strict=True
    ):
        assert_same(mine, wanted)


def test_amplitude_has_no_slope_in_the_dark() -> None:
    planes = [(4, 4), (6, 6), (5, 5)]
    _, modulations = inputs(planes)
    images, masks = torch.zeros(1, 4, 4), torch.ones(5, 1)
    sums = compiled(kernels(planes)).sums(images, modulations, masks, masks, amplitude=True)
    sums.sum().backward()
    assert modulations[0].grad is not None
    assert not modulations[0].grad.any()


@pytest.mark.usefixtures("slabs")
def test_convolutions_that_do_not_separate_between_matrices() -> None:
    planes = [(3, 4), (5, 4), (4, 6), (4, 6), (3, 5)]
    interpolation, *_, last = kernels(planes)
    convolutions = [convolution(source, target, (12, 11)) for source, target in pairwise(planes[1:4])]
    steps = [interpolation.then(convolutions[0]), convolutions[1], last]
    assert_same_system(steps, [planes[0], *planes[2:]], "auto")


@pytest.mark.usefixtures("slabs")
def test_planes_with_samples_farther_apart_than_those_of_the_next() -> None:
    planes = [(5, 4), (6, 7), (6, 8), (5, 4)]
    steps = [
        Separable(*(strided(*counts, strides=strides) for counts in zip(source, target, strict=True)))
        for (source, target), strides in zip(pairwise(planes), [(1, 2), (3, 2), (2, 1)], strict=True)
    ]
    assert_same_system(steps, planes, "fft")


def test_of_kernels_that_do_the_same_it_takes_one_that_it_can_apply() -> None:
    shape = (6, 6)
    spectral = Spectral(shape, shape, (8, 8), pytest.fail)
    alike = convolution(shape, shape, (12, 12))
    both = Stack(((spectral, alike), (spectral, alike)))
    assert CpuBackend().obstacle(both, Options()) is None
    images, modulations = inputs([shape] * 3)
    executor = CpuBackend().compile(both, Options(torch.complex128))
    assert executor.engines == ("fft", "fft")
    assert_same(executor(images, modulations), one_by_one(images, modulations, [alike, alike]))


@pytest.mark.parametrize(
    "kernel",
    [
        Spectral((6, 6), (6, 6), (8, 8), pytest.fail),
        Convolution(points(6, 6, strides=(2, 1)), points(6, 6), (16, 12), pytest.fail),
    ],
)
def test_it_says_what_it_cannot_apply(kernel: Kernel) -> None:
    other = kernels([(6, 6), (6, 6)])[0]
    obstacle = CpuBackend().obstacle(stack([other, kernel]), Options())
    assert obstacle is not None
    assert "gap 2" in obstacle


@pytest.mark.parametrize("engine", ["matrix", "fft"])
def test_micro_batches_change_nothing_but_the_order_of_sums(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    planes = [(4, 4), (6, 5), (6, 5), (4, 3)]
    executor = compiled(kernels(planes), engine)
    images, modulations = inputs(planes, batch=7)
    results = []
    for limit in (1, 300, 1 << 20):
        monkeypatch.setattr("voltphase.optics.backends.cpu.packed_map.PackedMap.micro_batch", limit)
        field = executor(images, modulations)
        results.append([field, *torch.autograd.grad(field.abs().sum(), [images, *modulations])])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert_same(one, two)


def test_only_what_is_asked_for_has_a_gradient() -> None:
    planes = [(4, 4), (6, 5), (6, 5), (6, 5), (4, 3)]
    executor = compiled(kernels(planes))
    images, modulations = inputs(planes)
    wanted = torch.autograd.grad(executor(images, modulations).abs().sum(), modulations[1])[0]
    images, first, last = (tensor.detach() for tensor in (images, modulations[0], modulations[2]))
    field = executor(images, [first, modulations[1], last])
    assert_same(torch.autograd.grad(field.abs().sum(), modulations[1])[0], wanted)


def test_the_gradient_of_an_empty_batch_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def dirty(sizes: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.full(tuple(sizes), 7.0, dtype=dtype, device=device)

    monkeypatch.setattr("voltphase.optics.backends.cpu.micro_batches.borrow", dirty)
    planes = [(4, 4), (6, 5), (6, 5), (4, 3)]
    images, modulations = inputs(planes, batch=0)
    field = compiled(kernels(planes))(images, modulations)
    gradients = torch.autograd.grad(field.abs().sum(), [images, *modulations])
    assert [tuple(gradient.shape) for gradient in gradients] == [(0, 4, 4), (6, 5), (6, 5)]
    assert not any(gradient.any() for gradient in gradients)


def test_without_gradients_the_field_is_the_same_and_has_no_history() -> None:
    planes = [(4, 4), (6, 5), (4, 3)]
    executor = compiled(kernels(planes))
    images, modulations = inputs(planes)
    with torch.no_grad():
        field = executor(images, modulations)
    assert field.grad_fn is None
    assert torch.equal(field, executor(images, modulations))


@pytest.mark.parametrize("engine", ["matrix", "fft"])
def test_single_precision_stays_single_and_agrees(engine: Engine) -> None:
    planes = [(28, 28), (40, 44), (40, 44), (40, 44)]
    steps = kernels(planes)
    executor = compiled(steps, engine, torch.complex64)
    images, modulations = inputs(planes)
    field = executor(images.float(), [m.to(torch.complex64) for m in modulations])
    assert field.dtype == torch.complex64
    assert_same(field, one_by_one(images, modulations, steps), SINGLE_ROUNDING)


def test_bytes_are_amplitudes_from_zero_to_one_and_complex_images_are_fields() -> None:
    planes = [(4, 4), (6, 6), (5, 5)]
    executor = compiled(kernels(planes))
    _, modulations = inputs(planes)
    images = torch.randint(0, 256, (2, 4, 4), dtype=torch.uint8)
    assert_same(executor(images, modulations), executor(images.double() / 255, modulations))
    one, two = torch.rand(2, 2, 4, 4, dtype=torch.float64)
    parts = executor(one, modulations), executor(two, modulations)
    assert_same(executor(torch.complex(one, two), modulations), parts[0] + 1j * parts[1])


def test_auto_takes_matrices_for_small_planes_and_transforms_for_large_ones() -> None:
    for size, engine in ((64, "matrix"), (800, "fft")):
        assert compiled(kernels([(size, size)] * 3)).engines == (engine, engine)


def test_an_executor_has_nothing_to_store() -> None:
    assert not compiled(kernels([(4, 4), (6, 6), (5, 5)])).state_dict()


def test_planes_need_no_arrays_to_be_compared() -> None:
    axis = Toeplitz(True, points(50, 50), pytest.fail)
    for engine in ENGINES:
        assert CpuBackend().cost(stack([Separable(axis, axis)] * 3), Options(engine=engine)) > 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda executor: executor(torch.zeros(2, 5, 4), [torch.zeros(6, 6, dtype=torch.complex128)]),
            GeometryError,
            "expected images of batch x 4 x 4, but got 2 x 5 x 4",
        ),
        (
            lambda executor: executor(torch.zeros(2, 4, 4), []),
            GeometryError,
            "expected 1 modulations, one for each plane, but got 0",
        ),
        (
            lambda executor: executor(torch.zeros(2, 4, 4), [torch.zeros(6, 5, dtype=torch.complex128)]),
            GeometryError,
            "expected modulation 0 to be 6 x 6 torch.complex128, but got 6 x 5 torch.complex128",
        ),
        (
            lambda executor: executor(torch.zeros(2, 4, 4), [torch.zeros(6, 6, dtype=torch.complex64)]),
            GeometryError,
            "expected modulation 0 to be 6 x 6 torch.complex128, but got 6 x 6 torch.complex64",
        ),
        (
            lambda executor: executor.sums(
                torch.zeros(2, 4, 4),
                [torch.zeros(6, 6, dtype=torch.complex128)],
                torch.zeros(5, 3),
                torch.zeros(4, 3),
            ),
            GeometryError,
            "expected masks of 5 x regions and 5 x regions, but got 5 x 3 and 4 x 3",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    call: Callable[[Executor], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(compiled(kernels([(4, 4), (6, 6), (5, 5)])))
