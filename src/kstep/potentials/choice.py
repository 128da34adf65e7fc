"""The potential that a configuration names, for one molecule."""

from importlib.metadata import version

import numpy as np

from kstep.config import PotentialConfig
from kstep.config.potential import registered
from kstep.errors import ConfigError, MoleculeError
from kstep.potentials.python_force import CachedPotential
from kstep.potentials.single_point import one_line
from kstep.protocols import Method
from kstep.system.molecule import Molecule


def make_method(config: PotentialConfig) -> Method:
    """The method that a configuration names.

    Raises ConfigError when it is not there or does not take the settings.
    """
    found = registered(config.name)
    if found is None:
        raise ConfigError(f"potential.name={config.name} is no method that a molecule is given to.")
    try:
        method = found.load()(**config.arguments)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"potential.name={config.name} cannot be imported ({one_line(error)}): install its "
            "package again."
        ) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"potential.settings are not what {config.name} takes ({one_line(error)}): correct "
            "them."
        ) from None
    if not isinstance(method, Method):
        raise ConfigError(
            f"potential.name={config.name} gives a {type(method).__name__}, which has no "
            "`of(molecule)`: see kstep.protocols.Method."
        )
    return method


def make_potential(config: PotentialConfig, molecule: Molecule) -> CachedPotential:
    """The potential of a molecule, tried at its positions.

    Args:
        config: of a potential with `is_python`.
        molecule: at positions where there must be an energy.

    Raises ConfigError when its program is not installed or no calculator, MoleculeError when it
    lacks an element or finds no energy.
    """
    potential = make_method(config).of(molecule)
    cached = CachedPotential(potential, f"{config.name} of {molecule.name}")
    if not np.isfinite(cached(molecule.positions)[0]):
        raise MoleculeError(
            f"{molecule.name}: {config.name} finds no energy at its starting geometry: try another "
            "prep.seed, or leave it out."
        )
    return cached


def programs(config: PotentialConfig) -> dict[str, str]:
    """The versions of the packages behind a potential; none for those of OpenMM."""
    if not config.is_python:
        return {}
    packages = getattr(make_method(config), "packages", ())
    return {package: version(package) for package in packages}
