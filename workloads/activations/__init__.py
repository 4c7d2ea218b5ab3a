"""Activation functions: what GELU, SiLU, ReLU, Phi6Simple, ZetaLn2 and other polynomials cost, and how models learn with them."""
