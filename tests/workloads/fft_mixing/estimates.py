"""Estimates made by hand for the tests of findings and figures."""

from lab.records import Estimate
from workloads.fft_mixing.findings import pairs


def estimate(arm, implementation, mean, *, baseline=("", ""), metric="latency_s", statistic="mean", protocol="sound", **changes):
    exact = statistic == "exact" or mean is None
    values = {
        "workload": "fft_mixing",
        "protocol": protocol,
        "arm": arm,
        "implementation": implementation,
        "baseline_arm": baseline[0],
        "baseline_implementation": baseline[1],
        "metric": metric,
        "statistic": statistic,
        "mean": mean,
        "ci_low": None if exact else mean * 0.99,
        "ci_high": None if exact else mean * 1.01,
        "n": 1 if exact else 10,
        "unit": "",
        "device": "cuda:0",
        "dtype": "bfloat16",
    }
    return Estimate(**(values | changes))


def side_by_side(times, **changes):
    """Means and every pair's ratio (baseline time / technique time) of one cell from {(arm, implementation): seconds}."""
    means = [estimate(arm, how, seconds, **changes) for (arm, how), seconds in times.items()]
    ratios = [
        estimate(t.arm, t.implementation, b.mean / t.mean, baseline=(b.arm, b.implementation), statistic="ratio", **changes)
        for t, b in pairs(means)
    ]
    return means + ratios
