"""Estimates of correlated series with honest errors, and what is made of them.

`estimates`: means, ratios, blocks · `divergence`: histograms against their noise · `reweighting`:
from a surrogate's ensemble to the true one · `convergence`: whether chains agree.
"""
