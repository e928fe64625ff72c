from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch

from voltphase.core import buffers as memory

BIG = (1 << 20, 3)


@pytest.fixture(autouse=True)
def nothing_idle() -> Iterator[None]:
    memory.release()
    yield
    memory.release()


def test_a_borrowed_tensor_is_an_ordinary_aligned_one() -> None:
    for dtype in (torch.float32, torch.complex128):
        tensor = memory.borrow(BIG, dtype)
        assert tensor.shape == BIG
        assert tensor.dtype == dtype
        assert tensor.is_contiguous()
        assert tensor.data_ptr() % 64 == 0


def test_memory_is_used_again_only_when_no_view_of_it_lives() -> None:
    tensor = memory.borrow(BIG, torch.float32)
    address = tensor.data_ptr()
    part = tensor[5:, 1]
    del tensor
    gc.collect()
    other = memory.borrow(BIG, torch.float32)
    assert other.data_ptr() != address
    del part
    gc.collect()
    assert memory.borrow(BIG, torch.float32).data_ptr() == address


def test_autograd_gives_memory_back_after_the_backward_pass() -> None:
    weight = torch.ones(1, requires_grad=True)
    kept = memory.borrow(BIG, torch.float32)
    address = kept.data_ptr()
    loss = (weight * kept.fill_(1)).sum()
    del kept
    assert memory.borrow(BIG, torch.float32).data_ptr() != address
    loss.backward()
    lent = [memory.borrow(BIG, torch.float32) for _ in range(2)]
    assert address in {tensor.data_ptr() for tensor in lent}


def test_a_block_much_larger_than_needed_is_left_alone() -> None:
    address = memory.borrow(BIG, torch.float64).data_ptr()
    assert memory.borrow((BIG[0], 1), torch.float32).data_ptr() != address


def test_blocks_that_nobody_asked_for_are_given_back() -> None:
    memory.borrow(BIG, torch.float32)
    assert len(memory._idle) == 1
    memory._idle[0] = (memory._idle[0][0] - 60, memory._idle[0][1])
    memory.borrow((BIG[0], 30), torch.float32)
    assert sorted(block.nbytes for _, block in memory._idle) == [BIG[0] * 30 * 4]


def test_small_tensors_are_torchs_own() -> None:
    memory.borrow((10,), torch.float32)
    assert not memory._idle
