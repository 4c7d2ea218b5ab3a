"""SSA eigenspectrum: Spectral Sparse Attention against dense attention: spectra, fidelity, speed and energy."""

from lab.ui import experiment_page

experiment_page.show("spectral_sparse_attention")
