"""The potential that a configuration names, for one molecule."""

from importlib.metadata import version

import numpy as np
from jaxtyping import Int

from kstep.config import PotentialConfig
from kstep.errors import ConfigError, MoleculeError
from kstep.potentials.calculators import AseProgram
from kstep.potentials.python_force import Atoms, Potential, Program
from kstep.potentials.xtb import Xtb


def make_potential(
    config: PotentialConfig, name: str, numbers: Int[np.ndarray, " N"], x: Atoms
) -> Potential:
    """The potential of a molecule, tried at a geometry.

    Args:
        config: of a potential with `is_python`.
        name: of the molecule, for sentences.
        numbers: atomic numbers.
        x: nm [N, 3], where there must be an energy.

    Raises ConfigError when its program is not installed or no calculator, MoleculeError when it
    lacks an element or finds no energy at x.
    """
    try:
        program = _program(config, name, numbers, x)
    except ModuleNotFoundError as error:
        extra = _extra(config)
        raise ConfigError(
            f"potential.name={config.name} needs the package {error.name}: install it with "
            f"`pip install 'md-kstep[{extra}]'`."
        ) from None
    potential = Potential(program, f"{config.name} of {name}")
    if not np.isfinite(potential(x)[0]):
        raise MoleculeError(
            f"{name}: {config.name} finds no energy at its starting geometry: try another "
            "prep.seed, or leave it out."
        )
    return potential


def programs(config: PotentialConfig) -> dict[str, str]:
    """The versions of the program behind a potential; none for those of OpenMM."""
    if not config.is_python:
        return {}
    package = {"xtb": "tblite", "ase": "ase"}[_extra(config)]
    return {package: version(package)}


def _program(
    config: PotentialConfig, name: str, numbers: Int[np.ndarray, " N"], x: Atoms
) -> Program:
    if config.calculator is not None:
        return AseProgram(config.calculator, numbers, x)
    try:
        return Xtb(config, numbers, x)
    except ValueError as error:
        raise MoleculeError(
            f"{name} cannot be computed with {config.name} ({error}): leave it out or choose "
            "another potential.name."
        ) from None


def _extra(config: PotentialConfig) -> str:
    """The installation extra that brings the program."""
    return "ase" if config.name == "ase" else "xtb"
