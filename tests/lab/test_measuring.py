"""What every comparison does with its arms: which of them are replayed in graphs, and why the others are not."""

from __future__ import annotations

import pytest

from lab import measuring
from lab.records import Record
from lab.timing import Arm, Observation, Sampling


class Timer:
    """Stands for both timers; nothing is timed."""

    def __init__(self, metric):
        self.metric = metric

    def close(self):
        pass


def arm(name):
    return Arm(name, "eager", "baseline", "cuda:0", "float32", lambda i: None)


@pytest.fixture
def replayed(monkeypatch):
    """The names of the arms that each timer was asked to time; every call takes a second."""
    asked = {}

    def compare(arms, baseline, sampler, sampling):
        asked[sampler.metric] = [one.name for one in arms]
        yield Observation(0, sampler.metric, tuple(arms), {one.key: 1.0 for one in arms})

    monkeypatch.setattr(measuring, "synchronizer", lambda device: None)
    monkeypatch.setattr(measuring, "LatencySampler", lambda synchronize: Timer("latency_s"))
    monkeypatch.setattr(measuring, "DeviceTimeSampler", lambda device: Timer("device_time_s"))
    monkeypatch.setattr(measuring, "compare", compare)
    return asked


def test_arms_without_a_graph_say_why(replayed):
    arms = [arm("waits"), arm("long"), arm("short")]
    events = list(
        measuring.timed(
            arms,
            ("short", "eager"),
            "cuda:0",
            Sampling(),
            {},
            "calls",
            hidden_launches={("long", "eager"): 0.5, ("waits", "eager"): 0.5, ("short", "eager"): 2.0},  # a call takes 1 s
            not_captured={("waits", "eager"): "it waits"},
        )
    )
    assert replayed == {"latency_s": ["waits", "long", "short"], "device_time_s": ["short"]}
    reasons = {event.arm: (event.metric, event.reason) for event in events if isinstance(event, Record) and event.value is None}
    assert reasons == {"waits": ("device_time_s", "it waits"), "long": ("device_time_s", measuring.LAUNCHES_HIDDEN)}


def test_the_smallest_call_is_the_shortest_turn(monkeypatch):
    ticks = iter([0.0, 5.0] + [10.0, 12.0] + [20.0, 27.0] * 8)  # turns of ten calls: 5 s, 2 s, 7 s, …
    monkeypatch.setattr(measuring, "synchronizer", lambda device: lambda: None)
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(ticks))
    assert measuring.smallest_call_s(arm("any")) == pytest.approx(0.2)
