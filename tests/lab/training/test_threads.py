"""One thread for small work, and the run's threads come back whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lab.training.threads import one_thread


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("small", "threads"), [(True, 1), (False, 2)])
def test_only_small_work_takes_one_thread(small: bool, threads: int) -> None:
    with one_thread(small):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(RuntimeError), one_thread(True):
        raise RuntimeError
    assert torch.get_num_threads() == 2
