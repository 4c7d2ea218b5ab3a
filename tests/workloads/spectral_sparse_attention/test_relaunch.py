"""A kernel launched again: the same function for arguments of the same kinds, the kernel's own call for any other."""

from __future__ import annotations

import pytest
import torch

from workloads.spectral_sparse_attention.relaunch import Relaunched


class Compiled:
    def __init__(self):
        self.launches = []

    def __getitem__(self, grid):
        return lambda *arguments: self.launches.append((grid, arguments))


class Kernel:
    """Like ``kernel(x, n, scale, BLOCK: constexpr, CAUSAL: constexpr)``: notes its own calls, each of which compiles."""

    arg_names = ("x", "n", "scale", "BLOCK", "CAUSAL")

    def __init__(self, compiles=True):
        self.calls, self.compiled, self.compiles = [], [], compiles

    def __getitem__(self, grid):
        def run(*arguments, **options):
            self.calls.append((grid, arguments, options))
            self.compiled.append(Compiled())
            return self.compiled[-1] if self.compiles else None

        return run


BASE = torch.zeros(64)
OPTIONS = {"CAUSAL": False, "BLOCK": 16, "num_warps": 4}


def test_the_second_launch_takes_all_parameters_in_order():
    kernel = Kernel()
    relaunched = Relaunched(kernel)
    relaunched[(3,)](BASE, 5, 0.5, **OPTIONS)
    relaunched[(4, 2)](BASE, 7, 0.25, **OPTIONS)  # 5 and 7: neither 1 nor a multiple of 16, 32 bits
    assert kernel.calls == [((3,), (BASE, 5, 0.5), OPTIONS)]
    ((grid, arguments),) = kernel.compiled[0].launches
    assert grid[:3] == (4, 2, 1)
    assert arguments[0] is BASE
    assert arguments[1:] == (7, 0.25, 16, False)  # BLOCK before CAUSAL, as the kernel has them; num_warps is no parameter


@pytest.mark.parametrize(
    ("x", "n", "scale", "changes"),
    [
        (BASE[1:], 5, 0.5, {}),  # 4 bytes further: no multiple of 16
        (BASE.double(), 5, 0.5, {}),
        (BASE, 1, 0.5, {}),
        (BASE, 32, 0.5, {}),
        (BASE, 2**31 + 1, 0.5, {}),
        (BASE, 5, 1, {}),
        (BASE, 5, 0.5, {"BLOCK": 32}),
        (BASE, 5, 0.5, {"CAUSAL": True}),
        (BASE, 5, 0.5, {"num_warps": 8}),
    ],
)
def test_other_kinds_are_compiled_anew(x, n, scale, changes):
    kernel = Kernel()
    relaunched = Relaunched(kernel)
    relaunched[(3,)](BASE, 5, 0.5, **OPTIONS)
    relaunched[(3,)](x, n, scale, **(OPTIONS | changes))
    assert len(kernel.calls) == 2
    relaunched[(3,)](BASE, 5, 0.5, **OPTIONS)
    assert (len(kernel.calls), len(kernel.compiled[0].launches), len(kernel.compiled[1].launches)) == (2, 1, 0)


def test_nothing_compiled_is_nothing_kept():
    kernel = Kernel(compiles=False)  # as under the interpreter
    relaunched = Relaunched(kernel)
    for _ in range(2):
        relaunched[(3,)](BASE, 5, 0.5, **OPTIONS)
    assert len(kernel.calls) == 2
