"""Figures of the text model: its training, and its perplexity with SSA in the place of attention. Light."""

from __future__ import annotations

from collections.abc import Sequence

from lab.records import Chart, Estimate
from workloads.spectral_sparse_attention.drawing import grouped, line, series
from workloads.spectral_sparse_attention.findings import rows
from workloads.spectral_sparse_attention.series import LABELS, TEXT


def charts(estimates: Sequence[Estimate]) -> list[Chart]:
    """Every figure of the text model that the summary has numbers for."""
    return [chart for chart in (_training(estimates), _perplexity(estimates)) if chart is not None]


def _training(estimates: Sequence[Estimate]) -> Chart | None:
    losses = rows(estimates, TEXT, "loss", "exact")
    if not losses:
        return None
    return Chart(
        key="training",
        title="Training of the character model",
        kind="line",
        x_title="Step",
        y_title="Loss (nats per character)",
        y_unit="",
        series=tuple(line(name, points, "step") for name, points in grouped(losses, lambda e: str(e.dimensions["setting"])).items()),
        alt="Training and validation loss of the character model against the step.",
        takeaway="Trained with dense causal attention; its queries, keys and values are the real text of this page.",
    )


def _perplexity(estimates: Sequence[Estimate]) -> Chart | None:
    levels = rows(estimates, TEXT, "perplexity")
    if not levels:
        return None
    return Chart(
        key="perplexity",
        title="Perplexity of the text model with SSA in the place of attention",
        kind="bar",
        x_title="Attention",
        y_title="Perplexity per character",
        y_unit="",
        y_log=True,
        series=(series("held-out text", levels, lambda e: LABELS.get(e.arm, e.arm)),),
        alt="Perplexity on held-out text with dense attention, SSA and its rivals in every layer and head of the trained model.",
        takeaway="Same weights, other attention, on both sides causal; nothing is trained anew. Lower is better.",
    )
