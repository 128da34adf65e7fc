"""Exact ensembles of a true potential, by way of a surrogate that costs next to nothing.

`ladder`: Monte Carlo on the surrogate alone, at several temperatures · `nested`: the same between
two true energies, which decide · `samples`: what comes of it · `evidence`: whether it can
be believed · `run`: all of it for one molecule.
"""
