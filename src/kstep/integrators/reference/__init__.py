"""Reference integrators.

Other ways to run plain MD, so that an outer step is held against the best.
"""
