"""Spectral Sparse Attention: clusters of queries attend to themselves and to sampled keys; its spectrum, fidelity and speed."""
