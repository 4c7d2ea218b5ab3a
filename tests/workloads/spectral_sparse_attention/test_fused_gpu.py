"""The Triton kernels on a GPU against float64, on fresh random inputs; and what only a GPU can show: graphs, determinism, large N."""

from __future__ import annotations

import time

import pytest
import torch

from workloads.spectral_sparse_attention import bench, data, dense, fast, fast_clustering, fused, reference, sampling
from workloads.spectral_sparse_attention.clustering import cluster, clusters_of, projection

REASON = fused.available("cuda")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(REASON), reason=REASON or "runs")]

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


@pytest.mark.parametrize(
    ("dtype", "head_dim", "n", "k", "s", "row", "weighted", "causal"),
    [
        (BF16, 64, 1000, 9, 50, 128, False, False),
        (BF16, 64, 5000, 70, 70, 128, True, True),
        (BF16, 64, 1000, 9, 50, 64, True, False),
        (BF16, 64, 64, 1, 0, 64, False, False),
        (BF16, 32, 513, 100, 33, 32, True, False),  # most clusters are smaller than a row, some empty
        (BF16, 128, 1001, 9, 50, 128, False, True),
        (FP16, 64, 129, 129, 129, 16, False, True),  # single-token clusters and all keys sampled
        (FP16, 80, 777, 12, 100, 64, True, False),
        (FP32, 64, 600, 9, 40, 64, True, True),
        (FP32, 32, 600, 9, 40, 128, False, False),
    ],
)
def test_against_float64(dtype, head_dim, n, k, s, row, weighted, causal):
    device = bench.Bench(torch.device("cuda"), (), time.monotonic())
    assert bench.check_case(device, n, head_dim, k, s, row, dtype, weighted, causal) == []


@pytest.mark.parametrize("causal", [False, True])
def test_samples_are_the_integers_of_the_reference(causal):
    labels = (torch.rand(3, 5000, device="cuda") ** 3 * 70).long()
    clusters = clusters_of(labels, 70)
    for s, row, seed in ((1, 128, 0), (70, 128, 5), (400, 64, 2**31 - 1)):
        wanted = sampling.shared(clusters, s, queries_per_row=row, seed=seed, causal=causal)
        found = fused.shared_samples(clusters, s, queries_per_row=row, seed=seed, causal=causal)
        assert torch.equal(found.keys.long(), wanted.keys)
        assert torch.equal(found.population.long(), wanted.population)


@pytest.mark.parametrize("m", [8, 16, 32, 64])
@pytest.mark.parametrize(("n", "k"), [(4096, 64), (5003, 71), (300, 300), (1000, 1)])
def test_clustering_is_sorted_deterministic_and_as_good_as_the_reference(m, n, k):
    tokens = data.planted(4, n, 64, min(k, 64), spread=0.3, largest=3.0, device="cuda", dtype=torch.bfloat16)
    phi = projection(m, 64, torch.Generator().manual_seed(1)).cuda()
    found, again = (fast_clustering.cluster(tokens.query, k, phi=phi, seed=2) for _ in range(2))
    wanted = clusters_of(found.labels, k)
    assert torch.equal(found.order.long(), wanted.order)
    assert torch.equal(found.offsets.long(), wanted.offsets)
    assert torch.equal(found.labels, again.labels)

    def spread_within(labels):
        x = (tokens.query.float() @ phi.T).double()
        sums = torch.zeros(4, k, m, device="cuda", dtype=torch.float64).scatter_add_(1, labels.long()[..., None].expand_as(x), x)
        counts = torch.zeros(4, k, device="cuda", dtype=torch.float64).scatter_add_(1, labels.long(), torch.ones_like(x[..., 0]))
        means = sums / counts.clamp(min=1)[..., None]
        return float((x - means.gather(1, labels.long()[..., None].expand_as(x))).square().sum())

    best = spread_within(cluster(tokens.query, k, m=m).labels)
    assert spread_within(found.labels) <= 1.15 * best + 1e-9


def test_a_whole_call_is_captured_and_replayed():
    tokens = data.planted(4, 4096, 64, 64, device="cuda", dtype=torch.bfloat16)
    phi = projection(16, 64, torch.Generator().manual_seed(0)).cuda()

    def call():
        return fast.attention(tokens.query, tokens.key, tokens.value, 64, 64, phi=phi).output

    with torch.no_grad():
        wanted = call()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = call()
        found.zero_()
        graph.replay()
        torch.cuda.synchronize()
    assert torch.equal(found, wanted)


def test_addresses_of_another_alignment():
    # The same numbers two bytes further, after a launch on aligned ones: what was compiled for those may load 16 bytes at once.
    n, clusters = 700, clusters_of(torch.randint(9, (2, 700), device="cuda"), 9)
    samples = fused.shared_samples(clusters, 50)
    aligned = [torch.randn(2, n, 64, device="cuda").bfloat16() for _ in range(3)]
    shifted = [torch.empty(x.numel() + 1, device="cuda", dtype=x.dtype)[1:].view(x.shape).copy_(x) for x in aligned]
    for _ in range(2):
        outputs = [fused.attention(*inputs, clusters, samples).output for inputs in (aligned, shifted, aligned)]
        for output in outputs[1:]:
            torch.testing.assert_close(output, outputs[0])


def test_timed_calls_see_inputs_finished():
    # Replays run on a stream of their own; positions that the default stream is still computing would be read as they happen to be.
    x = torch.zeros(1, device="cuda")
    torch.cuda.synchronize()
    torch.cuda._sleep(100_000_000)  # cycles, some 50 ms: the fill waits behind them
    x.fill_(1.0)
    seen = []

    def call():
        y = x.clone()
        if not seen:
            seen.append(y)

    bench.seconds(call, torch.device("cuda"))
    assert float(seen[0]) == 1.0


def test_duplicate_tokens_and_large_logits():
    x = torch.ones(2, 500, 64, device="cuda", dtype=torch.bfloat16)
    output = fast.attention(x, x, torch.arange(500.0, device="cuda").view(1, 500, 1).expand(2, -1, 64).bfloat16(), 20, 20).output
    assert output.isfinite().all()
    q = (torch.randn(2, 700, 64, device="cuda") * 300).bfloat16()  # logits of some 10⁵
    clusters = fast.cluster(q, 9)
    samples = fused.shared_samples(clusters, 50)
    inputs = [q.clone().requires_grad_() for _ in range(3)]
    attended = fused.attention(*inputs, clusters, samples)
    exact = reference.attention(q.double(), q.double(), q.double(), clusters, samples)
    assert (attended.output.double() - exact.output).abs().max() <= 0.01 * exact.output.abs().max()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(attended.output.sum(), inputs))


def test_memory_is_linear_and_the_largest_length_runs():
    peaks = []
    for n in (65536, 131072):
        tokens = data.planted(16, n, 64, round(n**0.5), largest=4.0, device="cuda", dtype=torch.bfloat16)
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        with torch.no_grad():
            output = fast.attention(tokens.query, tokens.key, tokens.value, round(n**0.5), round(n**0.5)).output
        peaks.append(torch.cuda.max_memory_allocated() - before)
        dense_output = dense.with_backend("flash")(tokens.query[:1], tokens.key[:1], tokens.value[:1])
        score = torch.nn.functional.cosine_similarity(output[:1].flatten().double(), dense_output.flatten().double(), dim=0)
        assert score > 0.5
    # Counts of tiles and samples grow like N √N / 128, all else like N.
    assert peaks[1] < 2.5 * peaks[0]
    assert peaks[1] < 2**30
