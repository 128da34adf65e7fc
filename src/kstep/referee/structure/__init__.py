"""Where a molecule is.

Internal coordinates, their distributions, torsional wells, how long it remembers.
"""
