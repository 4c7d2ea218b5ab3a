"""The Triton kernels on the CPU, under Triton's interpreter: ``TRITON_INTERPRET=1 pytest -m interpreter``, a process of its own."""

from __future__ import annotations

import os

import pytest

pytestmark = [
    pytest.mark.interpreter,
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1 before Triton is imported"),
]

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from lab.correctness import disagreement  # noqa: E402
from workloads.activations import fused  # noqa: E402
from workloads.activations.functions import FUNCTIONS  # noqa: E402
from workloads.activations.reference import EAGER, gradient64, reference64  # noqa: E402

DTYPES = [torch.float32, torch.float16]  # the interpreter has no bfloat16
SPECIAL = (
    0.0,
    -0.0,
    2.0,
    -2.0,
    2.001953125,
    -2.001953125,
    1e-7,
    -1e-7,
    300.0,
    -300.0,
    6e4,
    -6e4,
    float("inf"),
    -float("inf"),
    float("nan"),
)


def check(name, x, dy):
    """Value and gradient of the fused function against float64, judged by the eager one's own error; returns both."""
    inputs = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = fused.activation(name)(inputs)
    (dx,) = torch.autograd.grad(y, inputs, dy)
    plain = x.detach().clone().requires_grad_()
    y_eager = EAGER[name](plain)
    (dx_eager,) = torch.autograd.grad(y_eager, plain, dy)
    assert y.dtype == dx.dtype == x.dtype
    assert y.shape == dx.shape == x.shape
    assert disagreement(y.detach(), reference64(name, x), y_eager.detach()) == ""
    assert disagreement(dx, gradient64(name, x, dy), dx_eager) == ""
    return y, dx


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_against_float64(name, dtype):
    x = torch.cat([torch.randn(2500) * 3, torch.randn(500) * 1e-3, torch.tensor(SPECIAL)]).to(dtype)
    check(name, x, torch.randn(x.shape).to(dtype))


@pytest.mark.parametrize("n", [0, 1, 2, 1023, 1024, 1025, 4096])
def test_lengths_around_the_block(n):
    x = torch.randn(n)
    if n:
        check("phi6", x, torch.randn(n))
    else:
        assert fused.activation("phi6")(x).shape == (0,)
        assert fused.backward("phi6", x, x).shape == (0,)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_nothing_beyond_the_end_is_written(direction):
    # The tensors are views into larger ones whose other elements are a sentinel: a store past the end would change it.
    n, block = 1500, 1024
    store = torch.full((n + 2 * block,), 7.0)
    x, dy = torch.randn(n), torch.randn(n)
    out = store[block : block + n]
    if direction == "forward":
        fused.activation_forward_kernel[(2,)](x, out, n, FUNCTION="phi6", BLOCK=block)
        assert torch.equal(out, fused.forward("phi6", x))
    else:
        fused.activation_backward_kernel[(2,)](x, dy, out, n, DY_IS_SCALAR=False, FUNCTION="phi6", BLOCK=block)
        assert torch.equal(out, fused.backward("phi6", x, dy))
    assert (store[:block] == 7).all()
    assert (store[block + n :] == 7).all()


@pytest.mark.parametrize("config", [*fused.candidates(4), *fused.candidates(2)], ids=str)
def test_every_launch_configuration_computes_the_same(config):
    x, dy = torch.randn(9001), torch.randn(9001)
    assert torch.equal(fused.forward("phi12", x, config), fused.forward("phi12", x))
    assert torch.equal(fused.backward("phi12", x, dy, config), fused.backward("phi12", x, dy))


@pytest.mark.parametrize("offset", [1, 2, 3, 5])
def test_views_at_odd_offsets(offset):
    base = torch.randn(3000 + offset)
    check("zeta_ln2", base[offset:], torch.randn(3000))


LAYOUTS = {
    "transposed": lambda: torch.randn(30, 50).t(),
    "permuted": lambda: torch.randn(4, 5, 6).permute(2, 0, 1),
    "channels-last": lambda: torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last),
    "scalar": lambda: torch.randn(()),
    "size-1 dimensions": lambda: torch.randn(1, 50, 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dense_layouts_are_kept_without_a_copy(layout, monkeypatch):
    x = LAYOUTS[layout]()
    dy = torch.empty_like(x).normal_()
    assert fused.same_layout(x, torch.empty_like(x))
    launched = []
    forward_kernel = fused.activation_forward_kernel

    class Watch:
        def __getitem__(self, grid):
            def launch(*args, **kwargs):
                launched.append(args[0].data_ptr())
                return forward_kernel[grid](*args, **kwargs)

            return launch

    monkeypatch.setattr(fused, "activation_forward_kernel", Watch())
    y = fused.forward("phi6", x)
    assert launched == [x.data_ptr()]  # the kernel read the tensor itself
    assert y.stride() == x.stride()
    _, dx = check("phi6", x, dy)
    assert dx.stride() == x.stride()


@pytest.mark.parametrize(
    "make", [lambda: torch.randn(60, 40)[:, ::2], lambda: torch.randn(40)[::3], lambda: torch.randn(5, 1).expand(5, 7)]
)
def test_tensors_with_gaps_or_overlaps(make):
    x = make()
    check("phi6", x, torch.randn(x.shape))


def test_gradient_in_another_layout():
    check("phi6", torch.randn(30, 50), torch.randn(50, 30).t())


def test_gradient_of_a_sum_is_read_as_one_number(monkeypatch):
    x = torch.randn(2000, requires_grad=True)
    flags = []
    backward_kernel = fused.activation_backward_kernel

    class Watch:
        def __getitem__(self, grid):
            def launch(*args, **kwargs):
                flags.append(kwargs["DY_IS_SCALAR"])
                return backward_kernel[grid](*args, **kwargs)

            return launch

    monkeypatch.setattr(fused, "activation_backward_kernel", Watch())
    (3 * fused.activation("phi6")(x).sum()).backward()
    assert flags == [True]
    assert disagreement(x.grad, gradient64("phi6", x, torch.full((2000,), 3.0)), x.grad) == ""


def test_a_partly_expanded_gradient_is_not_one_number():
    check("phi6", torch.randn(5, 7), torch.randn(5, 1).expand(5, 7))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_saves_only_its_input(name):
    x = torch.randn(100, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        fused.activation(name)(x)
    assert [tensor.data_ptr() for tensor in saved] == [x.data_ptr()]


def test_clamp_borders():
    # autograd of clamp lets the gradient through at exactly ±2 and at nothing beyond; Φ6′(±2) = 2·(±2) − 1.
    beyond = torch.nextafter(torch.tensor(2.0), torch.tensor(3.0)).item()
    x = torch.tensor([2.0, -2.0, beyond, -beyond, float("nan")], requires_grad=True)
    fused.activation("phi6")(x).sum().backward()
    assert x.grad.tolist() == [3.0, -5.0, 0.0, 0.0, 0.0]


def test_zeta_overflows_float16_as_the_truth_does():
    x = torch.tensor([255.0, -255.0, 300.0, -300.0], dtype=torch.float16)
    y = fused.forward("zeta_ln2", x)
    assert y.isfinite().tolist() == [True, True, False, False]


def test_second_derivative_is_refused():
    x = torch.randn(10, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(fused.activation("phi6")(x).sum(), x, create_graph=True)


def test_unsupported_inputs_are_refused():
    with pytest.raises(TypeError, match="float64"):
        fused.activation("phi6")(torch.randn(3, dtype=torch.float64))
    with pytest.raises(KeyError):
        fused.activation("phi7")


def test_available_under_the_interpreter():
    assert fused.available("cpu") == ""
