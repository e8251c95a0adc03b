"""Segmentation with few masks or none, in JAX."""
