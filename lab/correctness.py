"""Whether an implementation computes what it should: against float64, with a tolerance from the same precision's own error.

Every fast implementation is checked before it is timed. Worker side: imports torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def error_bound(exact: Tensor, eager: Tensor) -> Tensor:
    """Largest error [same shape, float64] allowed to an implementation whose result has the dtype of ``eager``.

    Derived from what the same-precision eager computation itself gets wrong: twice its largest error relative to max(1, |exact|)
    over all finite elements, plus one rounding of the result (|exact| · eps) and the smallest subnormal.
    ``exact`` is the float64 truth, ``eager`` the result at the precision under test. Elements that are not finite are for the
    caller to compare as such.
    """
    info = torch.finfo(eager.dtype)
    finite = exact.isfinite() & eager.isfinite()
    scale = exact.abs().clamp(min=1.0)
    worst = ((eager.double() - exact).abs() / scale)[finite].max() if finite.any() else exact.new_zeros(())
    return 2.0 * worst * scale + exact.abs() * info.eps + info.smallest_normal * info.eps


def disagreement(got: Tensor, exact: Tensor, eager: Tensor) -> str:
    """Where ``got`` is not ``exact`` within :func:`error_bound`, in words; empty where it is everywhere.

    ``got`` and ``eager`` [same shape and dtype], ``exact`` the float64 truth. An element that is NaN, infinite or overflows
    in ``got`` or in the truth at that dtype must be the same in both.
    """
    rounded = exact.to(got.dtype)
    finite = got.isfinite() & rounded.isfinite()
    same = (got == rounded) | (got.isnan() & rounded.isnan())
    within = (got.double() - exact).abs() <= error_bound(exact, eager)
    wrong = ~torch.where(finite, within, same)
    if not wrong.any():
        return ""
    first = tuple(int(index) for index in wrong.nonzero()[0])
    values = f"{got[first].item()!r} instead of {rounded[first].item()!r}"
    return f"{int(wrong.sum())} of {wrong.numel()} elements differ, first at {first}: {values}"


def failure_of(problem: Callable[[], str]) -> str:
    """What ``problem`` says is wrong, or the error that it ends with; "" where all is well. Out of memory is passed on.

    No compiler, a refused capability, …: the other arms go on, and the reader sees why this one did not.
    """
    try:
        return problem()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0][:200] if lines else 'no further text'}"
