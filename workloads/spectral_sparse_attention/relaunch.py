"""Launching a Triton kernel again without the host's work of the first launch.

``kernel[grid](…)`` binds and classifies every argument, reads settings and looks up what was compiled, on every call: for twenty arguments
some 40 µs, longer than most of the clustering's kernels run on short sequences. Here what a first launch compiled is kept and launched
directly (``CompiledKernel[grid]``, which takes every parameter in order, constants too) while arguments are of the same kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

ALIGNMENT = 16  # what Triton compiles for: whether addresses and integers are multiples of it


def kind(argument: object) -> object:
    """All that Triton may compile an argument's value into.

    Of a tensor its dtype and whether its address is aligned; of an integer whether it is 1, whether it is a multiple of 16 and whether it
    fits into 32 bits; of anything else its type.
    """
    if isinstance(argument, Tensor):
        return argument.dtype, argument.data_ptr() % ALIGNMENT == 0
    if type(argument) is int:
        return argument == 1, argument % ALIGNMENT == 0, -(2**31) <= argument < 2**31
    return type(argument)


class Relaunched:
    """A kernel for calls like ``kernel[grid](*arguments, **constants_and_options)``, the first argument a tensor on the current device.

    ``arguments`` are the parameters that are no ``constexpr``, in order; ``constants_and_options`` the ``constexpr`` ones by name, and
    num_warps and the like. Under Triton's interpreter nothing is compiled and every call is the kernel's own.
    """

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self._compiled: dict[object, tuple[Any, tuple[object, ...]]] = {}

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return partial(self._launch, grid)

    def _launch(self, grid: tuple[int, ...], *arguments: Any, **options: Any) -> None:
        key = (arguments[0].get_device(), tuple(map(kind, arguments)), tuple(options.items()))
        known = self._compiled.get(key)
        if known is not None:
            compiled, constants = known
            compiled[(*grid, 1, 1)](*arguments, *constants)
            return
        compiled = self.kernel[grid](*arguments, **options)
        if compiled is not None:
            self._compiled[key] = compiled, tuple(options[name] for name in self.kernel.arg_names[len(arguments) :])
