"""FFT-Mix, windowed mixing of tokens by learned filters, against attention and against peers of the same cost."""
