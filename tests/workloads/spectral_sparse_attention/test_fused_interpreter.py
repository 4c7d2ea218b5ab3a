"""The Triton kernels on the CPU, under Triton's interpreter: ``TRITON_INTERPRET=1 pytest -m interpreter``, a process of its own."""

from __future__ import annotations

import os

import pytest

pytestmark = [
    pytest.mark.interpreter,
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1 before Triton is imported"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # the interpreter computes both sides of tl.where in NumPy
]

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from lab.parameters import ParameterError  # noqa: E402
from workloads.spectral_sparse_attention import data, fast, fast_clustering, fused, reference, sampling  # noqa: E402
from workloads.spectral_sparse_attention.clustering import clusters_of, kmeans_plus_plus, mean_of_members, projection  # noqa: E402

SMALL = fused.Tiles(block_n=16)
LAUNCH = fast_clustering.Launch(seed_block=64, candidates=16, seed_tokens=64, lloyd_block=64, block_k=16, sum_k=16, programs=4)


def check(n, head_dim, sizes, s, row, *, dtype=torch.float32, causal=False, weighted=False):
    """Samples, output, log-sum-exp and gradients at clusters of these sizes against float64."""
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    clusters = clusters_of(labels[torch.randperm(n)][None], len(sizes))
    samples = sampling.shared(clusters, s, queries_per_row=row, seed=5, causal=causal)
    drawn = fused.shared_samples(clusters, s, queries_per_row=row, seed=5, causal=causal)
    assert torch.equal(drawn.keys.long(), samples.keys)
    assert torch.equal(drawn.population.long(), samples.population)
    inputs = [torch.randn(1, n, head_dim).to(dtype).requires_grad_() for _ in range(3)]
    wide = [x.detach().double().requires_grad_() for x in inputs]
    cotangent = torch.randn(1, n, head_dim).to(dtype)
    found = fused.attention(*inputs, clusters, drawn, weighted=weighted, causal=causal, forward=SMALL, backward=SMALL)
    wanted = reference.attention(*wide, clusters, samples, weighted=weighted, causal=causal)
    gradients = torch.autograd.grad(found.output, inputs, cotangent)
    exact = torch.autograd.grad(wanted.output, wide, cotangent.double())
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
    assert found.output.dtype == dtype
    torch.testing.assert_close(found.output.double(), wanted.output, **tolerance)
    torch.testing.assert_close(found.log_sum_exp.double(), wanted.log_sum_exp, rtol=1e-3, atol=tolerance["atol"])
    for a, b in zip(gradients, exact, strict=True):
        torch.testing.assert_close(a.double(), b, **tolerance)


def test_unequal_empty_and_single_token_clusters():
    check(53, 16, [0, 1, 34, 17, 0, 1], 9, 16)


def test_causal_and_weighted():
    check(45, 16, [30, 0, 14, 1], 20, 16, causal=True, weighted=True)


def test_half_precision_and_a_width_that_is_no_power_of_two():
    check(40, 24, [23, 17], 40, 32, dtype=torch.float16, weighted=True)


def test_no_samples():
    check(20, 16, [13, 7], 0, 16)


def test_strides_and_leading_dimensions():
    base = torch.randn(2, 30, 3, 16)  # [batch, N, heads, head_dim]: heads are strided
    q = base.transpose(1, 2)
    clusters = clusters_of(torch.randint(3, (2, 3, 30)), 3)
    samples = fused.shared_samples(clusters, 4, queries_per_row=16)
    found = fused.attention(q, q, q, clusters, samples, forward=SMALL)
    wanted = reference.attention(q, q, q, clusters, samples)
    torch.testing.assert_close(found.output, wanted.output, rtol=1e-5, atol=1e-5)
    assert found.log_sum_exp.shape == (2, 3, 30)


def test_no_second_derivative_and_refusals():
    x = torch.randn(1, 20, 16, requires_grad=True)
    clusters = clusters_of(torch.zeros(1, 20, dtype=torch.int64), 1)
    samples = fused.shared_samples(clusters, 0, queries_per_row=16)
    output = fused.attention(x, x, x, clusters, samples, forward=SMALL).output
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(output.sum(), x, create_graph=True)
    with pytest.raises(TypeError, match="float64"):
        fused.attention(x.double(), x.double(), x.double(), clusters, samples)
    with pytest.raises(ValueError, match="one shape"):
        fused.attention(x, x[..., :8], x, clusters, samples)
    with pytest.raises(ParameterError, match="head_dim: '129'"):
        fused.attention(*[torch.randn(1, 20, 129)] * 3, clusters, samples)
    with pytest.raises(ParameterError, match="queries_per_row: '0'"):
        fused.attention(x, x, x, clusters, sampling.per_query(clusters, 0))


@pytest.mark.parametrize(("n", "k"), [(300, 11), (33, 33), (40, 1)])
def test_clustering_sorts_its_labels_and_repeats_itself(n, k):
    tokens = data.planted(2, n, 16, min(n, 9), spread=0.2, largest=2.0, dtype=torch.float16)
    phi = projection(8, 16, torch.Generator().manual_seed(0))
    effort = fast_clustering.Effort(n_seeds=128, seed_steps=1, subset_steps=1, full_steps=2, tokens_per_cluster=8)
    found, again = (fast_clustering.cluster(tokens.query, k, phi=phi, seed=1, effort=effort, launch=LAUNCH) for _ in range(2))
    wanted = clusters_of(found.labels, k)
    assert torch.equal(found.order.long(), wanted.order)
    assert torch.equal(found.offsets.long(), wanted.offsets)
    assert torch.equal(found.labels, again.labels)


@pytest.mark.parametrize("in_seed_kernel", [True, False])
def test_lloyd_steps_move_centres_to_the_means(in_seed_kernel):
    # From the same seeds, two steps of the kernels are two of the reference; the program that drew the seeds goes 1.5 of the way.
    x = data.planted(1, 200, 16, 6, spread=0.3).query
    phi = projection(16, 16, torch.Generator().manual_seed(0))
    none = fast_clustering.Effort(n_seeds=200, seed_steps=0, subset_steps=0, full_steps=0, step_length=1.5)
    before = fast_clustering.fit(x, 6, phi, 1, none, LAUNCH)
    two = none._replace(seed_steps=2) if in_seed_kernel else none._replace(full_steps=2)
    after = fast_clustering.fit(x, 6, phi, 1, two, LAUNCH)
    scaled = (x @ phi.T - before.mean[:, None]) * before.inverse[:, None, None]
    assert scaled.mean(1).abs().max() < 1e-5  # all tokens were seeds: their mean is 0 and their scale 1
    assert float(scaled.square().mean()) == pytest.approx(1.0, rel=1e-4)
    wanted = before.centres.float()
    for _ in range(2):
        means = mean_of_members(scaled, torch.cdist(scaled, wanted).argmin(-1), wanted)
        wanted = wanted + (means - wanted) * (1.5 if in_seed_kernel else 1.0)
    found = after.centres.float()
    if not in_seed_kernel:  # the last step is left to whoever reads the centres
        means = after.sums / (after.counts.clamp(min=1) * after.fixed)[..., None]
        found = torch.where(after.counts[..., None] > 0, means, found)
        assert int(after.counts.sum()) == 200
    torch.testing.assert_close(found, wanted, rtol=0, atol=6e-3)


def test_seeds_follow_squared_distances():
    # 63 tokens at 0, one far away: k-means++ takes both whatever comes first, as the reference does; a uniform draw would miss the one.
    x = torch.zeros(8, 64, 16)
    x[:, 17] = 9.0
    phi = torch.eye(16)
    effort = fast_clustering.Effort(n_seeds=64, seed_steps=0, subset_steps=0, full_steps=0)
    found = fast_clustering.fit(x, 2, phi, 3, effort, LAUNCH)
    places = (found.centres.float() / found.inverse[:, None, None] + found.mean[:, None])[..., 0].sort(-1).values
    torch.testing.assert_close(places, torch.tensor([[0.0, 9.0]]).expand(8, 2), rtol=0, atol=0.02)
    wanted = kmeans_plus_plus(x, 2, torch.Generator().manual_seed(0))[..., 0].sort(-1).values
    assert wanted.tolist() == [[0.0, 9.0]] * 8


def test_identical_tokens_and_as_many_clusters():
    x = torch.ones(1, 50, 16)
    clusters = fast_clustering.cluster(x, 7, phi=torch.eye(16), launch=LAUNCH)
    assert sorted(clusters.sizes[0].tolist()) == [0] * 6 + [50]


def test_numbers_that_are_none_end_and_give_a_partition():
    x = torch.randn(1, 64, 16)
    x[0, 5] = float("nan")
    x[0, 6] = float("inf")
    clusters = fast_clustering.cluster(x, 4, phi=torch.eye(16), launch=LAUNCH)
    assert sorted(clusters.order[0].tolist()) == list(range(64))
    assert int(clusters.offsets[0, -1]) == 64


def test_the_whole_call():
    tokens = data.planted(1, 150, 16, 4, spread=0.1)
    found = fast.attention(tokens.query, tokens.key, tokens.value, 4, 10, queries_per_row=32)
    phi = projection(16, 16, torch.Generator().manual_seed(0))
    clusters = fast_clustering.cluster(tokens.query, 4, phi=phi)
    samples = sampling.shared(clusters, 10, queries_per_row=32)
    wanted = reference.attention(tokens.query, tokens.key, tokens.value, clusters, samples)
    torch.testing.assert_close(found.output, wanted.output, rtol=1e-5, atol=1e-5)
