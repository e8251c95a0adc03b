"""Plain PyTorch forms of the training steps, for `benchmarks.race` to run against."""
