"""The hybrid in a stock OpenMM Simulation with stock reporters.

    python examples/openmm_simulation.py demo/data demo/run phenol

Needs a prepared molecule and a trained network, as `make demo` leaves them.
"""

import sys
from pathlib import Path

import openmm
from openmm import app

from kstep.interop.openmm_integrator import KStepIntegrator
from kstep.potentials.systems import load_system
from kstep.regressed.learned import load_learned_jump
from kstep.system.prepared import load_molecule


def main(data: Path, run: Path, name: str) -> None:
    """200 macro-steps (3.2 ps at k = 8) with a DCD and a log."""
    molecule = load_molecule(data / "raw" / name)
    checkpoint = run / "train" / "best.ckpt"
    jump = load_learned_jump(checkpoint, molecule, k_steps=8, dt_ps=0.002, landing="closing_kick")
    integrator = KStepIntegrator(jump, molecule, dt_ps=0.002, temperature=300.0)

    topology = app.PDBFile(str(molecule.pdb)).topology
    system = load_system(molecule, cutoff=1.0, constraints="HBonds", implicit_solvent="OBC2")
    reference = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, reference)
    integrator.bind(simulation.context)
    simulation.context.setPositions(molecule.positions)
    simulation.minimizeEnergy()
    simulation.context.setVelocitiesToTemperature(300.0, 1)
    simulation.reporters += [
        app.DCDReporter(str(run / f"{name}.dcd"), 10),
        app.StateDataReporter(sys.stdout, 50, step=True, time=True, temperature=True),
    ]
    simulation.step(200)
    accounts = integrator.accounts
    print(f"{accounts.calls[0]} force calls, {accounts.rejected_jumps} jumps rejected")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
