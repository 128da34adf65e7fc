"""A specialist for one molecule and one potential, from a network that knows many.

`stage` does so for every molecule, in one of two ways: `forces`, where a splitting is led by its
own force (`exploring`) to geometries that are labelled and learned from, and put on `trial` in the
end; `bursts`, where true bursts start from the states of another network's hybrid run.
`beginnings`: what an adaptation starts from · `record`: its bill.
"""

from kstep.adapt.stage import run

__all__ = ["run"]
