# The kernels' language has no unpacking and no return after a branch, and tuples of rows grow in it.
# ruff: noqa: RUF005, RET505
# mypy: ignore-errors
"""Triton kernels of FFT-Mix in the time domain (see ``circulant``): all window sizes in one launch, arithmetic in float32.

    fused.py (shapes, strides, autograd) ─→ mix_windows_kernel      forward: a whole window in registers
                                         ├→ mix_gather_kernel       forward of long windows, and backward: dx = Σ over sizes
                                         ├→ gradient_windows_kernel taps' gradient: a whole window in registers
                                         └→ gradient_gather_kernel  taps' gradient of long windows

*Windows*: a program owns a stretch of the sequence and a block of channels; for each size it takes the windows that begin in its stretch,
one after the other, with all tokens of the window in registers and the product written out. The stretch comes from memory once and from
the cache for the other sizes. *Gather*: a program owns a tile of tokens and channels and adds up, lag by lag, the tokens that its own are
mixed with, wherever they lie; slower, but its code does not grow with the window.

The taps h[0] … h[w // 2] of all sizes are [R, d_model] float32. ``tl`` operations only, so that Triton's interpreter can run them.
Offsets are 64 bits wide: tensors may hold more than 2³¹ elements.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.constexpr_function
def size_of(windows, s):
    """The s-th window size."""
    return windows[s]


@triton.constexpr_function
def first_row(windows, s):
    """The row of the s-th size's first tap."""
    return sum(w // 2 + 1 for w in windows[:s])


@triton.constexpr_function
def is_halved(windows, s, causal, halved):
    """Whether the s-th size goes through ``halved_product``."""
    return bool(halved) and not causal and windows[s] % 2 == 0


@triton.constexpr_function
def sum_count(windows, s, causal, halved):
    """How many sums make up the gradient of the s-th size's taps."""
    return 2 * (windows[s] // 4 + 1) if halved and not causal and windows[s] % 2 == 0 else windows[s] // 2 + 1


@triton.constexpr_function
def tap_of(i, j, w, causal):
    """Which tap stands at [i, j] of the window's matrix; −1 where the matrix is zero."""
    if causal and j > i:
        return -1
    lag = (i - j) % w
    return min(lag, w - lag)


@triton.constexpr_function
def odd_tap_of(i, j, half):
    """Which odd half-tap m[|i − j|] stands at [i, j], m[half − k] = −m[k]; its index, negative − 1 where the sign is; none: half."""
    lag = abs(i - j)
    if 2 * lag == half:
        return half
    return lag if 2 * lag < half else -(half - lag) - 1


@triton.jit
def window_product(x, h, W: tl.constexpr, CAUSAL: tl.constexpr):
    """The W outputs of one window, tuples of rows: y[i] = Σ_j h[tap of i, j] x[j]."""
    out = ()
    for i in tl.static_range(W):
        acc = x[i] * h[0]
        for j in tl.static_range(W):
            if j != i and tap_of(i, j, W, CAUSAL) >= 0:
                acc += x[j] * h[tap_of(i, j, W, CAUSAL)]
        out = out + (acc,)
    return out


@triton.jit
def halved_taps(h, HALF: tl.constexpr):
    """The even and odd half-taps p[k] = (h[k] + h[HALF − k]) / 2 and m[k] = (h[k] − h[HALF − k]) / 2 for k ≤ HALF / 2."""
    even = ()
    odd = ()
    for k in tl.static_range(HALF // 2 + 1):
        even = even + ((h[k] + h[HALF - k]) * 0.5,)
        odd = odd + ((h[k] - h[HALF - k]) * 0.5,)
    return even, odd


@triton.jit
def halved_product(x, even, odd, HALF: tl.constexpr):
    """:func:`window_product` of an even window size 2 · HALF with half of the multiplications.

    The sums a[i] = x[i] + x[i + HALF] go through a circulant matrix of the half size, the differences b[i] = x[i] − x[i + HALF] through a
    skew-circulant one: y[i], y[i + HALF] = u[i] ± v[i], u = p ⊛ a, v[i] = Σ_j m[|i − j|] b[j].
    """
    sums = ()
    differences = ()
    for i in tl.static_range(HALF):
        sums = sums + (x[i] + x[i + HALF],)
        differences = differences + (x[i] - x[i + HALF],)
    upper = ()
    lower = ()
    for i in tl.static_range(HALF):
        u = sums[i] * even[0]
        v = differences[i] * odd[0]
        for j in tl.static_range(HALF):
            if j != i:
                u += sums[j] * even[tap_of(i, j, HALF, False)]
                if odd_tap_of(i, j, HALF) < 0:
                    v -= differences[j] * odd[-odd_tap_of(i, j, HALF) - 1]
                elif odd_tap_of(i, j, HALF) < HALF:
                    v += differences[j] * odd[odd_tap_of(i, j, HALF)]
        upper = upper + (u + v,)
        lower = lower + (u - v,)
    return upper + lower


@triton.jit(do_not_specialize=["stretches", "stretch", "seq_len"])
def mix_windows_kernel(
    x_ptr,  # [batch, seq_len, d_model], channels side by side
    taps_ptr,  # [R, d_model] float32
    y_ptr,  # [batch, seq_len, S · d_model]
    stride_batch,
    stride_time,
    stretches,  # programs along one sequence
    stretch,  # tokens of a program
    seq_len,
    d_model,
    WINDOWS: tl.constexpr,
    CAUSAL: tl.constexpr,
    HALVED: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """y of every window that begins in the program's stretch, for each size."""
    SIZES: tl.constexpr = len(WINDOWS)
    batch = (tl.program_id(0) // stretches).to(tl.int64)
    start = (tl.program_id(0) % stretches) * stretch
    end = min(start + stretch, seq_len)
    channels = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = channels < d_model
    x_ptr += batch * stride_batch + channels
    y_ptr += batch * seq_len * (SIZES * d_model) + channels
    for s in tl.static_range(SIZES):
        h = ()
        for k in tl.static_range(size_of(WINDOWS, s) // 2 + 1):
            h = h + (tl.load(taps_ptr + (first_row(WINDOWS, s) + k) * d_model + channels, mask=inside, other=0.0),)
        if is_halved(WINDOWS, s, CAUSAL, HALVED):
            even, odd = halved_taps(h, size_of(WINDOWS, s) // 2)
        for window in range(tl.cdiv(start, size_of(WINDOWS, s)), tl.cdiv(end, size_of(WINDOWS, s))):
            first = window * size_of(WINDOWS, s)
            source = x_ptr + first.to(tl.int64) * stride_time
            target = y_ptr + first.to(tl.int64) * (SIZES * d_model) + s * d_model
            left = tl.where(inside, seq_len - first, 0)  # tokens of the sequence from here on
            x = ()
            for i in tl.static_range(size_of(WINDOWS, s)):
                row = tl.load(source, mask=left > i, other=0.0)
                source += stride_time
                x = x + (row.to(tl.float32),)
            if is_halved(WINDOWS, s, CAUSAL, HALVED):
                y = halved_product(x, even, odd, size_of(WINDOWS, s) // 2)
            else:
                y = window_product(x, h, size_of(WINDOWS, s), CAUSAL)
            for i in tl.static_range(size_of(WINDOWS, s)):
                tl.store(target, y[i].to(y_ptr.dtype.element_ty), mask=left > i)
                target += SIZES * d_model


@triton.jit
def window_gradient(x, dy, W: tl.constexpr, CAUSAL: tl.constexpr):
    """What one window adds to the gradient of its W // 2 + 1 taps: Σ dy[i] x[j] over the places of each tap."""
    parts = ()
    for k in tl.static_range(W // 2 + 1):
        acc = tl.zeros_like(x[0])
        for i in tl.static_range(W):
            for j in tl.static_range(W):
                if tap_of(i, j, W, CAUSAL) == k:
                    acc += dy[i] * x[j]
        parts = parts + (acc,)
    return parts


@triton.jit
def halved_gradient(x, dy, HALF: tl.constexpr):
    """:func:`window_gradient` of an even window size 2 · HALF, of the even half-taps and then the odd ones (``halved_product``)."""
    a = ()
    b = ()
    da = ()
    db = ()
    for i in tl.static_range(HALF):
        a = a + (x[i] + x[i + HALF],)
        b = b + (x[i] - x[i + HALF],)
        da = da + (dy[i] + dy[i + HALF],)
        db = db + (dy[i] - dy[i + HALF],)
    parts = ()
    for k in tl.static_range(HALF // 2 + 1):
        acc = tl.zeros_like(x[0])
        for i in tl.static_range(HALF):
            for j in tl.static_range(HALF):
                if tap_of(i, j, HALF, False) == k:
                    acc += da[i] * a[j]
        parts = parts + (acc,)
    for k in tl.static_range(HALF // 2 + 1):
        acc = tl.zeros_like(x[0])
        for i in tl.static_range(HALF):
            for j in tl.static_range(HALF):
                if odd_tap_of(i, j, HALF) == k:
                    acc += db[i] * b[j]
                elif odd_tap_of(i, j, HALF) == -k - 1:
                    acc -= db[i] * b[j]
        parts = parts + (acc,)
    return parts


@triton.jit
def added_up(sums, lost, parts, COUNT: tl.constexpr):
    """``sums`` + ``parts`` and the digits that this loses, to be added next time (Kahan's summation); tuples of COUNT."""
    new_sums = ()
    new_lost = ()
    for k in tl.static_range(COUNT):
        part = parts[k] - lost[k]
        total = sums[k] + part
        new_lost = new_lost + ((total - sums[k]) - part,)
        new_sums = new_sums + (total,)
    return new_sums, new_lost


@triton.jit(do_not_specialize=["batch_size", "batch_each", "stretches", "stretch", "seq_len", "rows"])
def gradient_windows_kernel(
    x_ptr,  # [batch, seq_len, d_model], channels side by side
    dy_ptr,  # [batch, seq_len, S · d_model], contiguous
    dtaps_ptr,  # [programs along axis 0, R, d_model] float32
    stride_batch,
    stride_time,
    batch_size,
    batch_each,  # sequences of a program
    stretches,  # programs along one sequence
    stretch,  # tokens of a program in each of its sequences
    seq_len,
    d_model,
    rows,  # R
    WINDOWS: tl.constexpr,
    CAUSAL: tl.constexpr,
    HALVED: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """The part of the taps' gradient that comes from the windows that begin in the program's stretches; one row of parts per program."""
    SIZES: tl.constexpr = len(WINDOWS)
    first_batch = (tl.program_id(0) // stretches) * batch_each
    batches = min(batch_each, batch_size - first_batch)
    start = (tl.program_id(0) % stretches) * stretch
    end = min(start + stretch, seq_len)
    channels = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = channels < d_model
    dtaps_ptr += tl.program_id(0).to(tl.int64) * rows * d_model + channels
    for s in tl.static_range(SIZES):
        sums = ()
        lost = ()
        for _ in tl.static_range(sum_count(WINDOWS, s, CAUSAL, HALVED)):
            sums = sums + (tl.zeros((BLOCK_D,), tl.float32),)
            lost = lost + (tl.zeros((BLOCK_D,), tl.float32),)
        for step in range(batches):
            batch = (first_batch + step).to(tl.int64)
            x_start = x_ptr + batch * stride_batch + channels
            dy_start = dy_ptr + batch * seq_len * (SIZES * d_model) + s * d_model + channels
            for window in range(tl.cdiv(start, size_of(WINDOWS, s)), tl.cdiv(end, size_of(WINDOWS, s))):
                first = window * size_of(WINDOWS, s)
                x_source = x_start + first.to(tl.int64) * stride_time
                dy_source = dy_start + first.to(tl.int64) * (SIZES * d_model)
                left = tl.where(inside, seq_len - first, 0)
                x = ()
                dy = ()
                for i in tl.static_range(size_of(WINDOWS, s)):
                    x = x + (tl.load(x_source, mask=left > i, other=0.0).to(tl.float32),)
                    dy = dy + (tl.load(dy_source, mask=left > i, other=0.0).to(tl.float32),)
                    x_source += stride_time
                    dy_source += SIZES * d_model
                if is_halved(WINDOWS, s, CAUSAL, HALVED):
                    parts = halved_gradient(x, dy, size_of(WINDOWS, s) // 2)
                else:
                    parts = window_gradient(x, dy, size_of(WINDOWS, s), CAUSAL)
                sums, lost = added_up(sums, lost, parts, sum_count(WINDOWS, s, CAUSAL, HALVED))
        target = dtaps_ptr + first_row(WINDOWS, s) * d_model
        if is_halved(WINDOWS, s, CAUSAL, HALVED):
            for k in tl.static_range(size_of(WINDOWS, s) // 4 + 1):
                even = sums[k]
                odd = sums[size_of(WINDOWS, s) // 4 + 1 + k]
                if 4 * k == size_of(WINDOWS, s):  # p[k] is h[k] itself, and there is no m[k]
                    tl.store(target + k * d_model, even, mask=inside)
                else:
                    tl.store(target + k * d_model, (even + odd) * 0.5, mask=inside)
                    tl.store(target + (size_of(WINDOWS, s) // 2 - k) * d_model, (even - odd) * 0.5, mask=inside)
        else:
            for k in tl.static_range(size_of(WINDOWS, s) // 2 + 1):
                tl.store(target + k * d_model, sums[k], mask=inside)


@triton.jit
def partners(place, k, W: tl.constexpr, CAUSAL: tl.constexpr, TRANSPOSED: tl.constexpr):
    """The two places of a window that tap ``k`` joins to the output at ``place``, and whether each is there (one counts once only)."""
    twice = (k > 0) & (2 * k < W)
    if CAUSAL:
        if TRANSPOSED:
            near = place + k
            far = place + W - k
            return near, near < W, far, (far < W) & twice
        else:
            near = place - k
            far = place - (W - k)
            return near, near >= 0, far, (far >= 0) & twice
    else:
        before = place - k
        after = place + k
        return tl.where(before < 0, before + W, before), place >= 0, tl.where(after >= W, after - W, after), (place >= 0) & twice


@triton.jit(do_not_specialize=["tiles", "seq_len"])
def mix_gather_kernel(
    in_ptr,  # [batch, seq_len, d_model], or transposed [batch, seq_len, S · d_model]
    taps_ptr,  # [R, d_model] float32
    out_ptr,  # contiguous [batch, seq_len, S · d_model], or transposed [batch, seq_len, d_model]
    stride_batch,
    stride_time,
    tiles,  # programs along one sequence
    seq_len,
    d_model,
    WINDOWS: tl.constexpr,
    CAUSAL: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """The mixing of a tile of tokens and channels for all sizes; ``TRANSPOSED``: by the transposed matrices, summed over the sizes."""
    SIZES: tl.constexpr = len(WINDOWS)
    batch = (tl.program_id(0) // tiles).to(tl.int64)
    time = (tl.program_id(0) % tiles) * BLOCK_T + tl.arange(0, BLOCK_T)
    channels = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = channels < d_model
    mask = (time < seq_len)[:, None] & inside[None, :]
    in_ptr += batch * stride_batch
    out_channels = d_model if TRANSPOSED else SIZES * d_model
    out = out_ptr + (batch * seq_len + time.to(tl.int64))[:, None] * out_channels + channels[None, :]
    acc = tl.zeros((BLOCK_T, BLOCK_D), tl.float32)
    for s in tl.static_range(SIZES):
        place = time % size_of(WINDOWS, s)
        first = time - place
        source = in_ptr + channels[None, :]
        if TRANSPOSED:
            source += s * d_model
        for k in range(size_of(WINDOWS, s) // 2 + 1):
            h = tl.load(taps_ptr + (first_row(WINDOWS, s) + k) * d_model + channels, mask=inside, other=0.0)
            near, near_there, far, far_there = partners(place, k, size_of(WINDOWS, s), CAUSAL, TRANSPOSED)
            near_there = near_there & (first + near < seq_len)
            far_there = far_there & (first + far < seq_len)
            near_rows = source + (first + near).to(tl.int64)[:, None] * stride_time
            far_rows = source + (first + far).to(tl.int64)[:, None] * stride_time
            x = tl.load(near_rows, mask=near_there[:, None] & inside[None, :], other=0.0).to(tl.float32)
            x += tl.load(far_rows, mask=far_there[:, None] & inside[None, :], other=0.0).to(tl.float32)
            acc += x * h[None, :]
        if not TRANSPOSED:
            tl.store(out + s * d_model, acc.to(out_ptr.dtype.element_ty), mask=mask)
            acc = tl.zeros((BLOCK_T, BLOCK_D), tl.float32)
    if TRANSPOSED:
        tl.store(out, acc.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["batch_size", "batch_each", "stretches", "stretch", "seq_len", "rows"])
def gradient_gather_kernel(
    x_ptr,  # [batch, seq_len, d_model], channels side by side
    dy_ptr,  # [batch, seq_len, S · d_model], contiguous
    dtaps_ptr,  # [programs along axis 0, R, d_model] float32
    stride_batch,
    stride_time,
    batch_size,
    batch_each,  # sequences of a program
    stretches,  # programs along one sequence
    stretch,  # tokens of a program in each of its sequences
    seq_len,
    d_model,
    rows,  # R
    WINDOWS: tl.constexpr,
    CAUSAL: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """The part of the taps' gradient that comes from the outputs in the program's stretches; one row of parts per program."""
    SIZES: tl.constexpr = len(WINDOWS)
    first_batch = (tl.program_id(0) // stretches) * batch_each
    batches = min(batch_each, batch_size - first_batch)
    start = (tl.program_id(0) % stretches) * stretch
    end = min(start + stretch, seq_len)
    channels = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = channels < d_model
    dtaps_ptr += tl.program_id(0).to(tl.int64) * rows * d_model + channels
    for s in tl.static_range(SIZES):
        for k in range(size_of(WINDOWS, s) // 2 + 1):
            acc = tl.zeros((BLOCK_T, BLOCK_D), tl.float32)
            for step in range(batches):
                batch = (first_batch + step).to(tl.int64)
                x_start = x_ptr + batch * stride_batch + channels[None, :]
                dy_start = dy_ptr + batch * seq_len * (SIZES * d_model) + s * d_model + channels[None, :]
                for tile in range(start, end, BLOCK_T):
                    time = tile + tl.arange(0, BLOCK_T)
                    mask = (time < end)[:, None] & inside[None, :]
                    dy = tl.load(dy_start + time.to(tl.int64)[:, None] * (SIZES * d_model), mask=mask, other=0.0).to(tl.float32)
                    place = time % size_of(WINDOWS, s)
                    first = time - place
                    near, near_there, far, far_there = partners(place, k, size_of(WINDOWS, s), CAUSAL, False)
                    near_there = near_there & (first + near < seq_len)
                    far_there = far_there & (first + far < seq_len)
                    near_rows = x_start + (first + near).to(tl.int64)[:, None] * stride_time
                    far_rows = x_start + (first + far).to(tl.int64)[:, None] * stride_time
                    x = tl.load(near_rows, mask=near_there[:, None] & mask, other=0.0).to(tl.float32)
                    x += tl.load(far_rows, mask=far_there[:, None] & mask, other=0.0).to(tl.float32)
                    acc += x * dy
            tl.store(dtaps_ptr + (first_row(WINDOWS, s) + k) * d_model, tl.sum(acc, axis=0), mask=inside)
