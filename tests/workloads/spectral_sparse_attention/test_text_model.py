"""The text model: its heads attend as they should, and a kept model is the one that was trained."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from lab.parameters import Plan
from lab.records import Phase, Record
from lab.workload import Context
from workloads.spectral_sparse_attention import text_model
from workloads.spectral_sparse_attention.parameters import TEXT_CONTEXT, SsaParameters
from workloads.spectral_sparse_attention.series import DENSE, SSA

PARAMS = SsaParameters(n=128, data="text", train_steps=10, seeds=2)


def train(folder, events):
    context = Context("cpu", 0, 1, "custom", 1, str(folder), Plan.of(SsaParameters, {"n": 128}))
    steps = text_model.trained(PARAMS, context)
    try:
        while True:
            events.append(next(steps))
    except StopIteration as end:
        return end.value, context


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, events = tmp_path_factory.mktemp("cache"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_model, "BATCH_SIZE", 1)
        patch.setattr(text_model, "VALIDATION_WINDOWS", 1)
        model, context = train(folder, events)
        again: list = []
        kept, _ = train(folder, again)
    return model, kept, events, again, context


def test_a_kept_model_is_the_trained_one_and_shows_the_same_curve(trained):
    model, kept, events, again, _ = trained
    for name, value in model.model.state_dict().items():
        assert torch.equal(value, kept.model.state_dict()[name])
    assert [e for e in events if isinstance(e, Record)] == [e for e in again if isinstance(e, Record)]
    assert [e.name for e in events if isinstance(e, Phase)] == ["train the text model"]
    assert [e.name for e in again if isinstance(e, Phase)] == ["text model"]


def test_dense_heads_give_the_models_own_output_and_the_model_stays_itself(trained):
    model = trained[0].model
    ids = trained[0].windows()[:1][None]
    with torch.no_grad():
        own = model(ids)
        with text_model.attending(model, lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True)):
            assert torch.allclose(model(ids), own, atol=1e-5)
        with text_model.attending(model, lambda q, k, v: torch.zeros_like(v)):
            assert not torch.allclose(model(ids), own, atol=1e-3)
        assert torch.equal(model(ids), own)


def test_heads_are_causal_data_sets_of_the_layer_and_head_asked_for(trained):
    source = text_model.TextTokens(trained[0], 1, 2)
    tokens = source.tokens(128, 0, "cpu", n_heads=2)
    assert tokens.query.shape == (2, 128, 32)
    query, _, _ = trained[0].heads(trained[0].windows()[:1, :128], 1)
    assert torch.allclose(tokens.query[0], query[0, 2], atol=1e-6)
    assert not torch.equal(source.tokens(128, 1, "cpu").query, source.tokens(128, 0, "cpu").query)


def test_a_damaged_file_is_trained_anew(tmp_path, trained):
    path = tmp_path / "model.pt"
    path.write_bytes(b"no model")
    assert text_model._cached(path, trained[0].data, "cpu") is None


def test_perplexity_is_recorded_for_every_attention_and_group(trained):
    model, _, _, _, context = trained
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_model, "WINDOWS_JUDGED", 2)
        found = [e for e in text_model.perplexities(PARAMS, context, model) if isinstance(e, Record)]
    arms = {r.arm for r in found}
    assert {DENSE, SSA} <= arms
    assert len(found) == 2 * len(arms)
    assert all(r.value > 1 for r in found)
    assert all(r.dimensions["seq_len"] == TEXT_CONTEXT for r in found)
