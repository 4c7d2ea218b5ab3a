"""Activation speed: GELU, SiLU and ReLU against Phi6Simple, ZetaLn2 and other cyclotomic polynomials."""
