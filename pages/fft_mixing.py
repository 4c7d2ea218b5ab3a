"""FFT-Mix against attention: speed over sequence length, and what a window cannot see."""

from lab.ui import experiment_page

experiment_page.show("fft_mixing")
