"""Activation speed: Phi6Simple, ZetaLn2 and cyclotomic activations against GELU."""

from lab.ui import experiment_page

experiment_page.show("activations")
