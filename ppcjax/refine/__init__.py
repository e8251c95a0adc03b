"""Refining scores after the network: dense CRF and random walk."""
