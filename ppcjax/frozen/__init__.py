"""Networks that are not trained: looked through once, and kept."""
