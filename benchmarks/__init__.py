"""Rate-distortion and speed measurements; `python -m benchmarks.rd --help`."""
