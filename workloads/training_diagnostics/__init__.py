"""Training diagnostics: the R-filter on loss curves, and the shape of their Takens embeddings, each against what noise gives."""
