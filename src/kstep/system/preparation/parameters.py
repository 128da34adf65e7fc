"""From a conformer to an OpenMM System (OpenFF, NAGL, OBC2). Slow to import: seconds.

The System is for an isolated molecule: no cutoff, no periodic box, and no CMMotionRemover,
which would change the energy behind the integrator's back.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pickle import UnpicklingError
from typing import Final

import numpy as np
import openmm
from jaxtyping import Float
from openmm import app
from openmm.app.internal.customgbforces import GBSAOBC2Force
from rdkit import Chem

from kstep.config import PrepConfig
from kstep.errors import ConfigError, MoleculeError

WATER_DIELECTRIC: Final = 78.5
"""Relative permittivity of the implicit water: Amber's and SMIRNOFF's; OpenMM's default is 78.3."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the libraries' warnings and log lines: none is the user's business."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


with _quiet():
    from openff.interchange.exceptions import InterchangeException
    from openff.nagl import GNNModel
    from openff.nagl_models import validate_nagl_model_path
    from openff.toolkit import ForceField
    from openff.toolkit import Molecule as OpenFFMolecule
    from openff.toolkit.utils.exceptions import OpenFFToolkitException
    from openff.units import unit as openff_unit


@dataclass(frozen=True, eq=False)
class Parametrised:
    """A molecule as OpenMM sees it.

    Attributes:
        system: the OpenMM System.
        topology: atoms named by element and count (C1, C2, H1), one residue.
        charges: partial charges, e [N].
    """

    system: openmm.System
    topology: app.Topology
    charges: Float[np.ndarray, " N"]


def parametrise(mol: Chem.Mol, config: PrepConfig) -> Parametrised:
    """Charges, force field and implicit solvent for a molecule with hydrogens and a conformer.

    Raises MoleculeError when the force field or the charge model lacks parameters, ConfigError
    when either does not exist.
    """
    with _quiet():
        force_field = _force_field(config)
        charge_model = _charge_model(config.charge_model)
        try:
            # What its SMILES leaves open was asked before; OpenFF sees centres in every PH3.
            molecule = OpenFFMolecule.from_rdkit(mol, allow_undefined_stereo=True)
            _name_atoms(molecule)
            charges = _charges(charge_model, molecule)
            molecule.partial_charges = charges * openff_unit.elementary_charge
            topology = molecule.to_topology()
            interchange = force_field.create_interchange(topology, charge_from_molecules=[molecule])
            system = interchange.to_openmm_system(combine_nonbonded_forces=True)
            openmm_topology = topology.to_openmm()
        except (OpenFFToolkitException, InterchangeException, ValueError) as error:
            raise MoleculeError(
                f"{_smiles(mol)} cannot be parametrised with "
                f"{config.force_field} and {config.charge_model} ({type(error).__name__}): "
                "leave it out or choose another force field."
            ) from error
    _isolate(system)
    if config.implicit_solvent == "OBC2":
        system.addForce(_obc2(openmm_topology, charges))
    return Parametrised(system, openmm_topology, charges)


def _smiles(mol: Chem.Mol) -> str:
    return Chem.MolToSmiles(Chem.RemoveHs(mol))


def _force_field(config: PrepConfig) -> ForceField:
    """The force field of the configuration, with its constraints of bonds if such are wanted."""
    try:
        force_field = ForceField(config.force_field)
    except (OSError, ValueError, OpenFFToolkitException):
        raise ConfigError(
            f"prep.force_field {config.force_field} is not a force field that OpenFF can read: "
            "give the name of an installed .offxml file."
        ) from None
    if "Constraints" in force_field.registered_parameter_handlers:
        handler = force_field.get_parameter_handler("Constraints")
        if config.constraints == "None":
            force_field.deregister_parameter_handler(handler)
        else:  # a distance given there, and not by the bond, makes a rigid water without an angle
            bonds = [one for one in handler.parameters if one.distance is None]
            handler.parameters[:] = bonds
    return force_field


@cache
def _charge_model(name: str) -> GNNModel:
    """The charge model, loaded once: that takes ten times as long as to use it."""
    try:
        # The path is found here, because OpenFF would look for other names on the network.
        return GNNModel.load(validate_nagl_model_path(name), eval_mode=True)
    except (FileNotFoundError, UnpicklingError):
        raise ConfigError(
            f"prep.charge_model {name} is not an installed NAGL model: give the name of a .pt "
            "file of openff-nagl-models, or a path."
        ) from None


def _charges(model: GNNModel, molecule: OpenFFMolecule) -> Float[np.ndarray, " N"]:
    """AM1-BCC charges, e, whose sum is the molecule's but for what float32 leaves, taken off."""
    charges = model.compute_property(
        molecule,
        as_numpy=True,
        readout_name="am1bcc_charges",
        check_domains=True,
        error_if_unsupported=True,
    ).astype(np.float64)
    net = molecule.total_charge.m_as(openff_unit.elementary_charge)
    return np.asarray(charges - (charges.sum() - net) / len(charges))


def _name_atoms(molecule: OpenFFMolecule) -> None:
    counts: dict[str, int] = {}
    for atom in molecule.atoms:
        counts[atom.symbol] = counts.get(atom.symbol, 0) + 1
        atom.name = f"{atom.symbol}{counts[atom.symbol]}"
        atom.metadata.update(residue_name="MOL", residue_number="1", chain_id="A")


def _isolate(system: openmm.System) -> None:
    """Take out the CMMotionRemover and any cutoff."""
    for index in reversed(range(system.getNumForces())):
        force = system.getForce(index)
        if isinstance(force, openmm.CMMotionRemover):
            system.removeForce(index)
        elif isinstance(force, openmm.NonbondedForce):
            force.setNonbondedMethod(openmm.NonbondedForce.NoCutoff)


def _obc2(topology: app.Topology, charges: Float[np.ndarray, " N"]) -> openmm.GBSAOBCForce:
    """Generalised Born, model II of Onufriev, Bashford & Case, Proteins 55, 383 (2004).

    With the surface-area term of the same force (ACE). The native force, because the custom
    one has the same energy and is up to 40 times slower.
    """
    force = openmm.GBSAOBCForce()
    force.setNonbondedMethod(openmm.GBSAOBCForce.NoCutoff)
    force.setSolventDielectric(WATER_DIELECTRIC)
    radii_and_scales = GBSAOBC2Force.getStandardParameters(topology)
    for charge, (radius, scale) in zip(charges, radii_and_scales, strict=True):
        force.addParticle(float(charge), float(radius), float(scale))
    return force
