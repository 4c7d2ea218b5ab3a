"""Small trainings take one thread on a CPU, and the run's threads come back whatever happens."""

import pytest
import torch

from lab.energy_meter import NO_COUNTER_ON_CPU
from lab.parameters import Plan
from lab.workload import Context
from workloads.fft_mixing.parameters import FftMixingParameters
from workloads.fft_mixing.small_work import SMALL_TOKENS, small_work


def context(device):
    plan = Plan.of(FftMixingParameters, {})
    return Context(device, 0, 1, "custom", 2, "", plan, NO_COUNTER_ON_CPU)


@pytest.fixture(autouse=True)
def _two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("device", "tokens", "threads"), [("cpu", SMALL_TOKENS, 1), ("cpu", SMALL_TOKENS + 1, 2), ("cuda:0", 1, 2)])
def test_only_small_work_on_a_cpu_takes_one_thread(device, tokens, threads):
    with small_work(tokens, context(device)):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_the_threads_come_back_when_a_run_is_cancelled():
    def training():
        with small_work(1, context("cpu")):
            yield

    events = training()
    next(events)
    events.close()
    assert torch.get_num_threads() == 2
