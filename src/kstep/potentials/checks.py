"""What is wrong with a potential that lies: seen from a dozen evaluations, said in one sentence.

A calculator whose forces are no slope of its energy heats a molecule without end, and one that
keeps a stale result holds it still; neither says a word. `kstep prep` asks this of every potential
outside OpenMM, `kstep.testing.check_potential` of any, and more.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.errors import PotentialError
from kstep.potentials.single_point import Atoms, SinglePoint
from kstep.protocols import Potential
from kstep.system.molecule import Molecule

DISPLACEMENT_NM = 3e-3
"""Standard deviation of a coordinate about the molecule's own: forces are then of a usual size."""

STEP_NM = 1.5e-4
"""What half a finite difference moves a coordinate by: truncation and the noise of an SCF are then
below a thousandth of a usual force."""

DIRECTIONS = 3
TOLERANCE = 0.02
"""Of a force: what grids, SCFs and finite differences leave open, and no wrong factor does."""

NOISE = 0.02
"""kJ/mol, of an energy computed twice: a hundredth of kT."""

_FACTORS = {
    4.184: "kcal/mol for kJ/mol",
    10.0: "Å for nm",
    18.897261: "bohr for nm",
    41.84: "kcal/mol/Å for kJ/mol/nm",
    96.485332: "eV for kJ/mol",
    964.85332: "eV/Å for kJ/mol/nm",
    2625.49964: "Hartree for kJ/mol",
    49614.75: "Hartree/bohr for kJ/mol/nm",
}


@dataclass(frozen=True)
class Probe:
    """A potential about to be examined.

    Attributes:
        potential: of one molecule.
        label: for sentences.
        x: a geometry near the molecule's own, nm [N, 3].
        other: another one.
        directions: of unit length, over all coordinates [D, N, 3].
    """

    potential: Potential
    label: str
    x: Atoms
    other: Atoms
    directions: Float[np.ndarray, "D N 3"]

    def at(self, x: Atoms) -> SinglePoint:
        """Energy and forces at one geometry; PotentialError where there are none."""
        found = self.potential.evaluate(x[None].copy())
        if not found.found[0]:
            reason = found.reasons.get(0, "NaN or infinite")
            raise self.fault(
                f"has no energy and forces {DISPLACEMENT_NM} nm from the molecule's own positions "
                f"({reason}): correct it, or the positions"
            )
        return float(found.energies[0]), found.forces[0]

    def fault(self, sentence: str) -> PotentialError:
        """What to raise."""
        return PotentialError(f"{self.label} {sentence}.")


def probe(potential: Potential, molecule: Molecule, label: str, seed: int = 0) -> Probe:
    """A potential with the geometries and directions it is examined at."""
    rng = np.random.default_rng(seed)
    shape = molecule.positions.shape
    x, other = molecule.positions + DISPLACEMENT_NM * rng.normal(size=(2, *shape))
    drawn = rng.normal(size=(DIRECTIONS, *shape))
    return Probe(
        potential, label, x, other, drawn / np.linalg.norm(drawn, axis=(1, 2), keepdims=True)
    )


def check_forces(potential: Potential, molecule: Molecule, label: str, seed: int = 0) -> None:
    """Ask whether energies and forces belong together, and to the geometry that was given.

    Some 12 evaluations. Raises PotentialError with what is wrong.
    """
    examined = probe(potential, molecule, label, seed)
    notices_motion(examined)
    repeats_itself(examined)
    forces_are_the_slope(examined)
    nothing_pushes_the_whole(examined)


def notices_motion(examined: Probe) -> None:
    """Another geometry has another energy."""
    (energy, forces), (other, others) = examined.at(examined.x), examined.at(examined.other)
    if len(forces) > 1 and energy == other and (forces == others).all():
        raise examined.fault(
            "gives the same energy and forces at two geometries: it does not notice that atoms "
            "have moved (a stale cache, or a constant); have it compute every geometry anew"
        )


def repeats_itself(examined: Probe) -> None:
    """At a geometry to which it returns it finds what it found there before."""
    energy, forces = examined.at(examined.x)
    examined.at(examined.other)
    again, repeated = examined.at(examined.x)
    if abs(energy - again) > NOISE or _differ(forces, repeated):
        raise examined.fault(
            f"gives another energy or other forces at the same geometry after it has seen another "
            f"(by {abs(energy - again):.3g} kJ/mol): a stale cache or noise; have it compute every "
            "geometry anew, and converge"
        )


def forces_are_the_slope(examined: Probe) -> None:
    """The forces are −∂U/∂x: along themselves, and along random directions."""
    _, forces = examined.at(examined.x)
    size = float(np.linalg.norm(forces))
    if size == 0.0:
        raise examined.fault(
            "gives forces that are all zero where the molecule is distorted: return −∂U/∂x"
        )
    directions = [forces / size, *examined.directions]
    said = np.array([float((forces * direction).sum()) for direction in directions])
    found = np.array([-_slope(examined, direction) for direction in directions])
    # A random direction shows of a force only what one coordinate has of it.
    allowed = TOLERANCE * np.maximum(np.abs(said), size / math.sqrt(forces.size)) + 1.0
    if (np.abs(said - found) <= allowed).all():
        return
    factor = said[0] / found[0] if found[0] else math.inf
    if (np.abs(said - factor * found) <= np.abs(factor) * allowed).all():
        raise examined.fault(_of_a_factor(float(factor)))
    worst = int(np.argmax(np.abs(said - found) / allowed))
    raise examined.fault(
        f"gives forces that are not the slope of its energy: along one direction the energy falls "
        f"by {found[worst]:.4g} kJ/mol/nm, while the forces say {said[worst]:.4g}; return −∂U/∂x "
        "of the energy that you return"
    )


def nothing_pushes_the_whole(examined: Probe) -> None:
    """Forces between atoms move and turn no molecule as a whole."""
    _, forces = examined.at(examined.x)
    size = float(np.linalg.norm(forces))
    arms = examined.x - examined.x.mean(axis=0)
    net = float(np.linalg.norm(forces.sum(axis=0)))
    torque = float(np.linalg.norm(np.cross(arms, forces).sum(axis=0)))
    if net > TOLERANCE * size + 1.0:
        raise examined.fault(
            f"pushes the whole molecule with {net:.3g} kJ/mol/nm: forces between atoms add up to "
            "nothing; take out external fields, restraints and cut-off noise"
        )
    if torque > TOLERANCE * size * np.linalg.norm(arms, axis=1).max() + 0.1:
        raise examined.fault(
            f"turns the whole molecule with {torque:.3g} kJ/mol: forces between atoms have no net "
            "torque; take out external fields and whatever knows directions in space"
        )


def _slope(examined: Probe, direction: Atoms) -> float:
    """∂U along a direction of unit length, kJ/mol/nm."""
    step = STEP_NM * math.sqrt(direction.size)
    above, _ = examined.at(examined.x + step * direction)
    below, _ = examined.at(examined.x - step * direction)
    return (above - below) / (2.0 * step)


def _of_a_factor(factor: float) -> str:
    if abs(factor + 1.0) <= TOLERANCE:
        return "gives the gradient ∂U/∂x in place of forces, −∂U/∂x: change the sign"
    known = [
        words
        for value, words in _FACTORS.items()
        if min(abs(abs(factor) / value - 1.0), abs(abs(factor) * value - 1.0)) <= TOLERANCE
    ]
    guess = f" ({' or '.join(known)}?)" if known else ""
    return (
        f"gives forces that are {factor:.4g} times −∂U/∂x of its energy{guess}: return energies in "
        "kJ/mol and forces in kJ/mol/nm"
    )


def _differ(first: Atoms, second: Atoms) -> bool:
    size = float(np.linalg.norm(first))
    return bool(np.linalg.norm(first - second) > TOLERANCE * size + 1.0)
