from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.core.errors import ConfigError, GeometryError
from voltphase.optics.backends.cpu.cascade import Cascade
from voltphase.optics.backends.cpu.fourier import Transfer
from voltphase.optics.backends.cpu.matrix import Kernel
from voltphase.optics.backends.cpu.planner import Engine, Step

# Two orders of the same float64 sums, and of float32 ones.
ROUNDING, SINGLE_ROUNDING = 1e-12, 2e-5

Shape = tuple[int, int]


def toeplitz(n_out: int, n_in: int, shift: float = 0.0) -> torch.Tensor:
    """A chirp between two centred axes, ``shift`` samples apart."""
    out, into = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in (n_out, n_in))
    distance = (out[:, None] + shift - into[None]).abs()
    return torch.polar(1 / (1 + distance), distance**2 / 7 + 0.3 * distance)


def kernels(planes: list[Shape], kind: Callable[[int, int], torch.Tensor] = toeplitz) -> list[Kernel]:
    return [(kind(b[0], a[0]), kind(b[1], a[1])) for a, b in pairwise(planes)]


def cascade(steps: list[Kernel], engine: Engine = "auto", dtype: torch.dtype = torch.complex128) -> Cascade:
    return Cascade(first=steps[0], between=steps[1:-1], last=steps[-1], dtype=dtype, engine=engine)


def one_by_one(images: torch.Tensor, modulations: list[torch.Tensor], steps: list[Kernel]) -> torch.Tensor:
    first, *rest = steps
    field = first[0] @ images.to(torch.complex128) @ first[1].mT
    for modulation, (rows, columns) in zip(modulations, rest, strict=True):
        field = rows @ (modulation * field) @ columns.mT
    return field


def inputs(planes: list[Shape], batch: int = 3) -> tuple[torch.Tensor, list[torch.Tensor]]:
    images = torch.rand(batch, *planes[0], dtype=torch.float64, requires_grad=True)
    modulations = [torch.randn(shape, dtype=torch.complex128, requires_grad=True) for shape in planes[1:-1]]
    return images, modulations


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = ROUNDING) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).detach().abs().max()) <= tolerance * float(theirs.detach().abs().max())


def assert_same_system(steps: list[Kernel], planes: list[Shape], engine: Engine) -> None:
    plan = cascade(steps, engine)
    images, modulations = inputs(planes)
    ours, theirs = plan(images, modulations), one_by_one(images, modulations, steps)
    assert_same(ours, theirs)
    weight = torch.randn_like(theirs)
    gradients = [
        torch.autograd.grad((field.abs().square() + (field * weight).real).sum(), [images, *modulations])
        for field in (ours, theirs)
    ]
    for mine, wanted in zip(*gradients, strict=True):
        assert_same(mine, wanted)


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
    rows, columns = steps[shifted]
    steps[shifted] = (toeplitz(rows.shape[0], rows.shape[1], shift), columns)
    assert_same_system(steps, planes, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_kernels_without_structure(engine: Engine) -> None:
    planes = [(4, 3), (6, 5), (5, 7), (3, 4)]
    steps = kernels(planes, lambda *shape: torch.randn(shape, dtype=torch.complex128))
    assert_same_system(steps, planes, engine)


def test_centred_kernels_cost_half_and_kernels_without_structure_are_not_folded() -> None:
    planes = [(8, 8)] * 4
    centred, other = kernels(planes), kernels(planes, lambda *shape: torch.randn(shape, dtype=torch.complex128))
    assert [hop.split for hop in cascade(centred, "matrix").hops] == [(True, True)] * 3
    assert [hop.split for hop in cascade(other, "matrix").hops] == [(False, False)] * 3


@pytest.mark.parametrize("engine", ["matrix", "fft"])
def test_gradcheck(engine: Engine) -> None:
    planes = [(2, 3), (5, 4), (4, 6), (3, 4)]
    plan = cascade(kernels(planes), engine)
    images, modulations = inputs(planes, 2)
    assert torch.autograd.gradcheck(lambda x, *m: plan(x, m), [images, *modulations])


@pytest.mark.parametrize("engine", ["matrix", "fft"])
@pytest.mark.parametrize("detector", [(5, 7), (6, 4)])
@pytest.mark.parametrize(("sums", "power"), [(Cascade.intensities, 2), (Cascade.amplitudes, 1)])
def test_sums_are_those_of_the_field(
    engine: Engine, detector: Shape, sums: Callable[..., torch.Tensor], power: int
) -> None:
    planes = [(4, 4), (7, 6), (7, 6), detector]
    plan = cascade(kernels(planes), engine)
    images, modulations = inputs(planes)
    rows, columns = (torch.rand(n, 3, dtype=torch.float64) for n in detector)
    ours = sums(plan, images, modulations, rows, columns)
    theirs = torch.einsum("byx,yr,xr->br", plan(images, modulations).abs() ** power, rows, columns)
    assert_same(ours, theirs)
    weight = torch.randn_like(theirs)
    for mine, wanted in zip(
        *(torch.autograd.grad((total * weight).sum(), [images, *modulations]) for total in (ours, theirs)), strict=True
    ):
        assert_same(mine, wanted)


def test_amplitude_has_no_slope_in_the_dark() -> None:
    planes = [(4, 4), (6, 6), (5, 5)]
    _, modulations = inputs(planes)
    sums = cascade(kernels(planes)).amplitudes(torch.zeros(1, 4, 4), modulations, torch.ones(5, 1), torch.ones(5, 1))
    sums.sum().backward()
    assert modulations[0].grad is not None
    assert not modulations[0].grad.any()


def test_a_transfer_function_between_matrices() -> None:
    planes = [(3, 4), (5, 4), (4, 6), (4, 6), (3, 5)]
    interpolation, *_, last = kernels(planes)
    transfers = [
        Transfer(torch.randn(12, 11, dtype=torch.complex128), source, target)
        for source, target in pairwise(planes[1:4])
    ]
    plan = Cascade(first=[interpolation, transfers[0]], between=[transfers[1]], last=last, dtype=torch.complex128)
    images, modulations = inputs([planes[0], *planes[2:]])

    def convolve(field: torch.Tensor, transfer: Transfer) -> torch.Tensor:
        spectrum = torch.fft.fft2(field, s=transfer.values.shape) * transfer.values
        return torch.fft.ifft2(spectrum)[..., : transfer.target[0], : transfer.target[1]]

    field = convolve(interpolation[0] @ images.to(torch.complex128) @ interpolation[1].mT, transfers[0])
    field = convolve(modulations[0] * field, transfers[1])
    theirs = last[0] @ (modulations[1] * field) @ last[1].mT
    ours = plan(images, modulations)
    assert_same(ours, theirs)
    weight = torch.randn_like(theirs)
    for mine, wanted in zip(
        *(torch.autograd.grad((f * weight).real.sum(), [images, *modulations]) for f in (ours, theirs)), strict=True
    ):
        assert_same(mine, wanted)


@pytest.mark.parametrize("engine", ["matrix", "fft"])
def test_micro_batches_change_nothing_but_the_order_of_sums(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    planes = [(4, 4), (6, 5), (6, 5), (4, 3)]
    plan = cascade(kernels(planes), engine)
    images, modulations = inputs(planes, batch=7)
    results = []
    for limit in (1, 300, 1 << 20):
        monkeypatch.setattr("voltphase.optics.backends.cpu.executor._MICRO_BATCH", {"cpu": limit})
        field = plan(images, modulations)
        results.append([field, *torch.autograd.grad(field.abs().sum(), [images, *modulations])])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert_same(one, two)


def test_only_what_is_asked_for_has_a_gradient() -> None:
    planes = [(4, 4), (6, 5), (6, 5), (6, 5), (4, 3)]
    plan = cascade(kernels(planes))
    images, modulations = inputs(planes)
    wanted = torch.autograd.grad(plan(images, modulations).abs().sum(), modulations[1])[0]
    images, first, last = (tensor.detach() for tensor in (images, modulations[0], modulations[2]))
    field = plan(images, [first, modulations[1], last])
    assert_same(torch.autograd.grad(field.abs().sum(), modulations[1])[0], wanted)


def test_the_gradient_of_an_empty_batch_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def dirty(sizes: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.full(tuple(sizes), 7.0, dtype=dtype, device=device)

    monkeypatch.setattr("voltphase.optics.backends.cpu.executor.borrow", dirty)
    planes = [(4, 4), (6, 5), (6, 5), (4, 3)]
    images, modulations = inputs(planes, batch=0)
    field = cascade(kernels(planes))(images, modulations)
    gradients = torch.autograd.grad(field.abs().sum(), [images, *modulations])
    assert [tuple(gradient.shape) for gradient in gradients] == [(0, 4, 4), (6, 5), (6, 5)]
    assert not any(gradient.any() for gradient in gradients)


def test_without_gradients_the_field_is_the_same_and_has_no_history() -> None:
    planes = [(4, 4), (6, 5), (4, 3)]
    plan = cascade(kernels(planes))
    images, modulations = inputs(planes)
    with torch.no_grad():
        field = plan(images, modulations)
    assert field.grad_fn is None
    assert torch.equal(field, plan(images, modulations))


@pytest.mark.parametrize("engine", ["matrix", "fft"])
def test_single_precision_stays_single_and_agrees(engine: Engine) -> None:
    planes = [(28, 28), (40, 44), (40, 44), (40, 44)]
    steps = kernels(planes)
    plan = cascade(steps, engine, torch.complex64)
    images, modulations = inputs(planes)
    field = plan(images.float(), [m.to(torch.complex64) for m in modulations])
    assert field.dtype == torch.complex64
    assert_same(field, one_by_one(images, modulations, steps), SINGLE_ROUNDING)


def test_bytes_are_amplitudes_from_zero_to_one_and_complex_images_are_fields() -> None:
    planes = [(4, 4), (6, 6), (5, 5)]
    plan = cascade(kernels(planes))
    _, modulations = inputs(planes)
    images = torch.randint(0, 256, (2, 4, 4), dtype=torch.uint8)
    assert_same(plan(images, modulations), plan(images.double() / 255, modulations))
    one, two = torch.rand(2, 2, 4, 4, dtype=torch.float64)
    assert_same(plan(torch.complex(one, two), modulations), plan(one, modulations) + 1j * plan(two, modulations))


def test_auto_takes_matrices_for_small_planes_and_transforms_for_large_ones() -> None:
    for size, name in ((64, "MatrixHop"), (800, "ToeplitzHop")):
        matrix = toeplitz(size, size)
        plan = Cascade(first=(matrix, matrix), between=[(matrix, matrix)], last=(matrix, matrix))
        assert type(plan.hops[1]).__name__ == name


def test_a_cascade_has_nothing_to_store() -> None:
    assert not cascade(kernels([(4, 4), (6, 6), (5, 5)])).state_dict()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda plan: plan(torch.zeros(2, 5, 4), [torch.zeros(6, 6, dtype=torch.complex128)]),
            GeometryError,
            "expected images of batch x 4 x 4, but got 2 x 5 x 4",
        ),
        (
            lambda plan: plan(torch.zeros(2, 4, 4), []),
            GeometryError,
            "expected 1 modulations, one for each plane, but got 0",
        ),
        (
            lambda plan: plan(torch.zeros(2, 4, 4), [torch.zeros(6, 5, dtype=torch.complex128)]),
            GeometryError,
            "expected modulation 0 to be 6 x 6 torch.complex128, but got 6 x 5 torch.complex128",
        ),
        (
            lambda plan: plan(torch.zeros(2, 4, 4), [torch.zeros(6, 6, dtype=torch.complex64)]),
            GeometryError,
            "expected modulation 0 to be 6 x 6 torch.complex128, but got 6 x 6 torch.complex64",
        ),
        (
            lambda plan: plan.intensities(
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
    call: Callable[[Cascade], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(cascade(kernels([(4, 4), (6, 6), (5, 5)])))


def test_kernels_that_do_not_fit_one_another_are_refused() -> None:
    steps: list[Step] = [(toeplitz(6, 4), toeplitz(6, 4)), (toeplitz(5, 7), toeplitz(5, 6))]
    with pytest.raises(GeometryError, match=r"kernel 1 to start from .* kernel 0 leads to, 6 x 6, .* 7 x 6"):
        Cascade(first=steps[0], between=[], last=steps[1])


def test_an_unknown_engine_or_a_real_dtype_is_refused() -> None:
    step = (toeplitz(4, 4), toeplitz(4, 4))
    with pytest.raises(ConfigError, match="expected an engine out of auto, matrix, fft, but got 'magic'"):
        Cascade(first=step, between=[], last=step, engine="magic")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"expected dtype torch.complex64 .*, but got torch.float32"):
        Cascade(first=step, between=[], last=step, dtype=torch.float32)
