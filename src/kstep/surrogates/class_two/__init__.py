"""A class-II force field that is linear in its parameters and fitted in closed form.

`coordinates`: of a molecular graph · `functions`: of one coordinate each · `form`, `tying`: which
functions and products a molecule's energy is made of, and which share a parameter · `design`,
`regression`, `fit`: from labels to parameters and their covariance · `tables`, `kernel`: machine
code · `openmm_forces`: stock forces of OpenMM · `surrogate`: all of it as one object.
"""

from kstep.surrogates.class_two.surrogate import ClassTwo, Uncertainty

__all__ = ["ClassTwo", "Uncertainty"]
