"""Mixtures of experts: routing entropy, Egyptian weights, many small experts against few large ones."""
