"""Training diagnostics: the R-filter and Takens embeddings of loss curves, against what noise gives."""

from lab.ui import experiment_page

experiment_page.show("training_diagnostics")
