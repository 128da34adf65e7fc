"""Estimates of correlated series with honest errors, and divergences against their noise."""
