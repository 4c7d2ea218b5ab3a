"""What an activation function does to learning: the published training protocols with their flaws apart, and a sound comparison.

names <- toy, xor (NumPy) <- tasks, published, sound (torch, worker side) <- experiment
  ^                ^
  +- costs, findings, charts (light: the web server imports these)
"""
