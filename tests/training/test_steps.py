from __future__ import annotations

import copy
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from voltphase.codesign import CodesignLayer
from voltphase.config import Config
from voltphase.core.errors import TrainingError
from voltphase.network.donn import DONN
from voltphase.tasks import Classification
from voltphase.training.batches import ImageBatches
from voltphase.training.build import build_datasets, build_devices, build_model
from voltphase.training.evaluation import Tally
from voltphase.training.steps import Learner, TrainingStep, make_optimizer
from voltphase.training.steps.graphs import CudaGraphs, Graphs
from voltphase.training.steps.training_step import WARM_UP, StepWarning

Make = Callable[..., Config]

_READS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.equal.default}


class _Operations(TorchDispatchMode):
    """Operations on tensors as they are done, to be undone, and done again on the same memory without any Python.

    Those of branches that run side by side are done again a few of each in turn, in another order of branches than the
    one that they were recorded in; that none touches what another writes is asserted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.branch: int | None = None
        self._done: list[tuple[int | None, Any, Any, Any, Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._touched: dict[int | None, set[int]] = defaultdict(set)
        self._written: dict[int | None, set[int]] = defaultdict(set)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READS:
            raise RuntimeError("operation not permitted when stream is capturing\nand more that nobody reads")
        kwargs = kwargs or {}
        for about, value in zip(func._schema.arguments, [*args, *([None] * len(func._schema.arguments))], strict=False):
            for tensor in tree_leaves(kwargs.get(about.name, value)):
                if isinstance(tensor, Tensor):
                    storage = tensor.untyped_storage()
                    self._touched[self.branch].add(storage.data_ptr())
                    if about.alias_info is not None and about.alias_info.is_write:
                        self._written[self.branch].add(storage.data_ptr())
                        self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = func(*args, **kwargs)
        self._done.append((self.branch, func, args, kwargs, result))
        return result

    def undo(self) -> None:
        for storage, content in self._before.values():
            storage.copy_(content)

    def require_apart(self) -> None:
        for one, other in itertools.permutations(self._touched, 2):
            assert not self._written[one] & self._touched[other], f"branch {other} touches what branch {one} writes"

    def branches(self) -> Counter[int | None]:
        return Counter(branch for branch, *_ in self._done)

    @torch.no_grad()
    def again(self) -> None:
        left = {branch: deque(one for one in self._done if one[0] == branch) for branch in self.branches()}
        for branch in itertools.cycle(reversed(left)):
            for _ in range(min(3, len(left[branch]))):
                _, func, args, kwargs, result = left[branch].popleft()
                for old, new in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)
            if not any(left.values()):
                break


class RecordedOperations(Graphs):
    """What CUDA graphs do, on a CPU."""

    def __init__(self, *, records: bool = True, waits: str | None = None) -> None:
        self.recordings = 0
        self.branches: list[Counter[int | None]] = []  # operations of each recording, by branches
        self._records, self._waits = records, waits
        self._operations: _Operations | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        yield

    def waiting(self, run: Callable[[], None]) -> str | None:
        run()
        return self._waits

    def side_by_side(self, runs: Sequence[Callable[[], None]]) -> None:
        for branch, run in enumerate(runs):
            if self._operations is not None:
                self._operations.branch = branch
            run()

    def record(self, run: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        if not self._records:
            raise RuntimeError("there is no graph")
        operations, states = _Operations(), [generator.get_state() for generator in generators]
        self._operations = operations
        try:
            with operations:
                run()
        finally:
            self._operations = None
            operations.undo()
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
        operations.require_apart()
        self.recordings += 1
        self.branches.append(operations.branches())
        return operations.again


class Training:
    """A network and all that trains it, without Lightning."""

    def __init__(self, config: Config, graphs: Graphs | None, device: str = "cpu") -> None:
        images = build_datasets(config)["train"]
        self.model: DONN = build_model(config, build_devices(config), images.image_shape).to(device).train()
        self.epoch = 0
        self.batches = ImageBatches(images, config.training.batch_size, seed=0, epoch=lambda: self.epoch)
        self.batches.to(torch.device(device))
        self.optimizer = make_optimizer(self.model, config.training)
        self.decay = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 40)
        self.tally = Tally(self.model.task.metrics)
        self.learner = Learner.of(self.model, self.optimizer, self.tally, config.training)
        self.step = TrainingStep([self.learner], graphs=graphs)

    def epochs(self, count: int) -> Training:
        for _ in range(count):
            self.tally.clear()
            for number, (images, targets) in enumerate(self.batches):
                self.step([(images, targets, 5.0 / (1 + self.epoch + number / len(self.batches)))])
                self.decay.step()
            self.epoch += 1
        return self

    def state(self) -> dict[str, Any]:
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "decay": self.decay.state_dict(),
            }
        )

    def restore(self, state: dict[str, Any], epoch: int) -> Training:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.decay.load_state_dict(state["decay"])
        self.epoch = epoch
        return self

    def numbers(self) -> list[Any]:
        """All that a step moves, and what it left of its sums."""
        tensors = [leaf for leaf in tree_leaves(self.state()) if isinstance(leaf, Tensor | int | float)]
        return [*tensors, self.tally.loss, self.tally.examples, *self.tally.columns("train").values()]


def same(one: Training, other: Training) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b
        for a, b in zip(one.numbers(), other.numbers(), strict=True)
    )


#: Steps of both sizes of batch are recorded in the fifth of them, the first of all being one that calibrates.
EPOCHS = WARM_UP + 3

#: The draws of single precision on a CPU are not PyTorch's, and not recorded.
KINDS = {
    "default": ["codesign.relaxation.name=proximity"],
    "light, even": ["training.efficiency_weight=0.5", "training.roughness_weight=0.5"],
    "paper": ["codesign.relaxation.name=gumbel-softmax", "codesign.gain=9", "task.loss=mse", "optics.precision=double"],
    "reinmax": ["codesign.relaxation.name=reinmax", "codesign.amplitude_grad_scale=0.1", "optics.precision=double"],
    "rounded": ["codesign.relaxation.name=qat", "task.scale=3.0", "optics.backend=reference"],
    "free": ["codesign.relaxation.name=unconstrained", "training.learning_rate_decay=none"],
    "softmax": ["codesign.relaxation.name=softmax", "optics.backend=reference"],
}


@pytest.fixture
def tiny(tiny: Make) -> Make:
    """Of two steps an epoch: 70 images in batches of 40, the second of which holds 30."""
    return lambda *overrides: tiny("data.train_limit=70", *overrides)


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def config(request: pytest.FixtureRequest, tiny: Make) -> Config:
    return tiny(*request.param)


def test_steps_that_are_replayed_are_those_that_run_as_they_are_written(config: Config) -> None:
    recorder = RecordedOperations()
    replayed = Training(config, recorder).epochs(EPOCHS)
    with pytest.warns(StepWarning, match="because there is no graph"):
        written = Training(config, RecordedOperations(records=False)).epochs(EPOCHS)
    assert recorder.recordings == 2  # of 40 images and of 30
    assert replayed.step.recorded
    assert not written.step.recorded
    assert same(replayed, written)
    assert [layer.draws for layer in replayed.model.layers] == [2 * EPOCHS] * 2
    for a, b in zip(replayed.numbers(), Training(config, None).epochs(EPOCHS).numbers(), strict=True):
        # Without graphs; learning rates and temperatures are rounded to single precision in a tensor.
        torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=1e-3, atol=1e-4)
    # Nothing of a recording stays behind.
    assert all(layer.draw_inputs is None for layer in replayed.model.layers)
    for group in replayed.optimizer.param_groups:
        assert isinstance(group["lr"], float)
        assert not group["capturable"]
    replayed.step = None  # pyright: ignore[reportAttributeAccessIssue]
    replayed.model(next(iter(replayed.batches))[0]).sum().backward()


def test_a_training_that_is_taken_up_again_repeats(config: Config) -> None:
    whole = Training(config, RecordedOperations()).epochs(5)
    assert whole.step.recorded
    state = whole.state()
    whole.epochs(5)
    again = Training(config, RecordedOperations()).restore(state, 5).epochs(5)
    assert same(whole, again)


def test_a_step_that_waits_is_not_recorded_and_says_so_once(tiny: Make) -> None:
    recorder = RecordedOperations(waits="task.py, line 7, waits for the GPU")
    with pytest.warns(StepWarning, match="kernel by kernel.*because task.py, line 7, waits for the GPU") as caught:
        training = Training(tiny(), recorder).epochs(5)
    assert len(caught) == 1
    assert recorder.recordings == 0
    assert same(training, Training(tiny(), RecordedOperations()).epochs(5))


def test_a_step_that_cannot_be_recorded_runs_on_as_if_nobody_had_tried(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Training(tiny(), RecordedOperations()).epochs(5)
    training = Training(tiny(), RecordedOperations())
    of_task = Classification.compute_loss
    monkeypatch.setattr(
        Classification,
        "compute_loss",
        lambda task, outputs, targets: of_task(task, outputs, targets) + 0 * bool(outputs.detach().any()),
    )
    with pytest.warns(StepWarning, match="because operation not permitted when stream is capturing$"):
        training.epochs(5)
    assert not training.step.recorded
    assert same(training, whole)


def test_dark_images_that_calibrate_nothing_are_no_steps_to_warm_up_by(tiny: Make) -> None:
    training = Training(tiny("data.train_limit=150"), recorder := RecordedOperations())
    images, targets = next(iter(training.batches))
    for _ in range(WARM_UP + 2):
        training.step([(torch.zeros_like(images), targets, 1.0)])
    assert recorder.recordings == 0
    training.epochs(2)
    assert recorder.recordings == 1


def designs(make: Make, graphs: Graphs | None, *settings: str, device: str = "cpu") -> list[Training]:
    """Designs of one shape that differ in all that may: seed, λ, learning rate, temperature, decay and its absence."""
    of_each = (
        ["seed=1"],
        ["seed=2", "codesign.gain=3", "training.learning_rate=0.1"],
        ["seed=3", "codesign.amplitude_grad_scale=0.2", "training.scale_learning_rate=0"],
    )
    return [Training(make(*settings, *own), graphs, device) for own in of_each]


def together(trainings: Sequence[Training], graphs: Graphs | None, count: int) -> TrainingStep:
    """Train designs together for some epochs."""
    step = TrainingStep([training.learner for training in trainings], graphs=graphs)
    for _ in range(count):
        for training in trainings:
            training.tally.clear()
        for number, batches in enumerate(zip(*(training.batches for training in trainings), strict=True)):
            step(
                [
                    (*batch, 5.0 / (1 + training.epoch + number / len(training.batches)))
                    for training, batch in zip(trainings, batches, strict=True)
                ]
            )
            for training in trainings:
                training.decay.step()
        for training in trainings:
            training.epoch += 1
    return step


@pytest.mark.parametrize("kind", list(KINDS))
def test_designs_trained_together_come_to_what_each_comes_to_alone(kind: str, tiny: Make) -> None:
    recorder = RecordedOperations()
    group = designs(tiny, None, *KINDS[kind])
    assert together(group, recorder, EPOCHS).recorded
    assert recorder.recordings == 2  # of 40 images and of 30
    for branches in recorder.branches:
        # Nothing runs beside the branches, and what they do differs by a design's own settings alone.
        assert set(branches) == {0, 1, 2}
        assert max(branches.values()) < 1.5 * min(branches.values())
    for ours, alone in zip(group, designs(tiny, RecordedOperations(), *KINDS[kind]), strict=True):
        assert same(ours, alone.epochs(EPOCHS))
        assert [layer.draws for layer in ours.model.layers] == [layer.draws for layer in alone.model.layers]


def test_designs_of_several_epochs_go_on_together(tiny: Make) -> None:
    first, second, third = designs(tiny, RecordedOperations(), *KINDS["paper"])
    first.epochs(2)
    third.epochs(1)
    assert together([first, second, third], RecordedOperations(), 5).recorded
    for ours, alone, epochs in zip(
        (first, second, third), designs(tiny, RecordedOperations(), *KINDS["paper"]), (7, 5, 6), strict=True
    ):
        assert same(ours, alone.epochs(epochs))


def spoil(training: Training) -> None:
    with torch.no_grad():
        training.model.layers[0].design[0, 3, 4] = float("nan")


def test_a_design_that_diverges_does_not_touch_the_others(tiny: Make) -> None:
    group = designs(tiny, None, "task.scale=2.0")
    spoil(group[1])
    recorder = RecordedOperations()
    assert together(group, recorder, EPOCHS).failures == {}
    assert recorder.recordings == 2
    assert not group[1].tally.loss < float("inf")
    # It leaves, and the others go on in a recording of their own.
    together([group[0], group[2]], again := RecordedOperations(), EPOCHS)
    assert again.recordings == 2
    alone = designs(tiny, RecordedOperations(), "task.scale=2.0")
    for number in (0, 2):
        assert same(group[number], alone[number].epochs(2 * EPOCHS))


@pytest.mark.parametrize("graphs", [RecordedOperations(), None])
def test_a_design_that_cannot_take_a_step_is_named_and_the_others_take_it(graphs: Graphs | None, tiny: Make) -> None:
    group = designs(tiny, None)
    spoil(group[1])
    step = TrainingStep([training.learner for training in group], graphs=graphs)
    step([(*next(iter(training.batches)), 5.0) for training in group])
    assert list(step.failures) == [1]
    assert "to calibrate the readout's scale by, but it measures nan" in str(step.failures[1])
    alone = designs(tiny, graphs)
    for number in (0, 2):
        alone[number].step([(*next(iter(alone[number].batches)), 5.0)])
        assert same(group[number], alone[number])
    spoil(alone[1])
    with pytest.raises(TrainingError, match="it measures nan"):
        alone[1].step([(*next(iter(alone[1].batches)), 5.0)])


def test_what_a_branch_writes_no_other_branch_touches(tiny: Make) -> None:
    first, second, _ = designs(tiny, None)
    second.learner.model = first.model
    second.learner.optimizer = first.optimizer
    with pytest.raises(AssertionError, match=r"branch \d touches what branch \d writes"):
        together([first, second], RecordedOperations(), EPOCHS)


def test_layers_that_draw_nothing_are_not_seeded_once_that_is_known(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded: Counter[str] = Counter()
    of_layer = CodesignLayer.next_draw
    for name, draws in (("default", False), ("paper", True)):
        training = Training(tiny(*KINDS[name]), RecordedOperations()).epochs(EPOCHS)

        def next_draw(layer: CodesignLayer, name: str = name) -> int:
            seeded[name] += 1
            return of_layer(layer)

        monkeypatch.setattr(CodesignLayer, "next_draw", next_draw)
        training.epochs(1)
        assert (seeded[name] > 0) == draws


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class WrittenCuda(CudaGraphs):
    """Steps of a GPU that run as they are written."""

    def record(self, run: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        raise RuntimeError("there is no graph")


@needs_gpu
def test_a_gpu_replays_what_it_would_do_as_it_is_written(config: Config) -> None:
    replayed = Training(config, None, "cuda").epochs(EPOCHS)
    with pytest.warns(StepWarning, match="because there is no graph"):
        written = Training(config, WrittenCuda(torch.device("cuda")), "cuda").epochs(EPOCHS)
    assert replayed.step.recorded
    assert same(replayed, written)


@needs_gpu
def test_a_gpu_trains_designs_together_to_what_each_comes_to_alone(config: Config, tiny: Make, request: Any) -> None:
    settings = request.node.callspec.params["config"]
    group = designs(tiny, None, *settings, device="cuda")
    assert together(group, None, EPOCHS).recorded
    # Some leave, and the others are recorded anew.
    assert together(group[:2], None, EPOCHS).recorded
    for number, alone in enumerate(designs(tiny, None, *settings, device="cuda")):
        assert same(group[number], alone.epochs((1 + (number < 2)) * EPOCHS))


@needs_gpu
def test_a_training_on_a_gpu_repeats_from_the_start_and_from_any_epoch(config: Config) -> None:
    whole, again = Training(config, None, "cuda").epochs(5), Training(config, None, "cuda").epochs(5)
    state = whole.state()
    assert same(whole.epochs(5), again.epochs(5))
    resumed = Training(config, None, "cuda").restore(state, 5).epochs(5)
    assert resumed.step.recorded
    assert same(whole, resumed)


@needs_gpu
def test_a_gpu_and_a_cpu_begin_alike(tiny: Make) -> None:
    on_gpu, on_cpu = (Training(tiny("optics.precision=double"), None, device).epochs(1) for device in ("cuda", "cpu"))
    assert on_gpu.tally.loss == pytest.approx(on_cpu.tally.loss, rel=1e-5)


@needs_gpu
def test_a_recorded_step_waits_for_nothing(config: Config) -> None:
    training = Training(config, None, "cuda").epochs(EPOCHS)
    assert training.step.recorded
    images, targets = next(iter(training.batches))
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):
            training.step([(images, targets, 1.0)])
    finally:
        torch.cuda.set_sync_debug_mode(before)


@needs_gpu
def test_what_makes_a_gpu_wait_is_named_and_not_recorded(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    of_task = Classification.compute_loss
    monkeypatch.setattr(
        Classification,
        "compute_loss",
        lambda task, outputs, targets: of_task(task, outputs, targets) + 0 * bool(outputs.detach().any()),
    )
    with pytest.warns(StepWarning, match=r"because .*test_steps.py, line \d+, waits for the GPU"):
        training = Training(tiny(), None, "cuda").epochs(4)
    assert not training.step.recorded
    torch.rand(3, device="cuda")  # the GPU's own generator is as it was
