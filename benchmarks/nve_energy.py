"""Energy fluctuation and drift of the baseline's velocity Verlet at three time steps.

python benchmarks/nve_energy.py paths.data=demo/data

Each molecule runs 100 ps of NVE from one equilibrium state; states are saved every 20 fs.
"""

import sys

import numpy as np

from kstep.config import load_config
from kstep.integrators.plain import Sampler
from kstep.potentials.systems import load_system
from kstep.system.mechanics import kinetic_energy
from kstep.system.prepared import load_molecules
from kstep.units import MEV_PER_KJ_PER_MOL

LENGTH_PS = 100.0


def main(overrides: list[str]) -> None:
    config = load_config([], overrides)
    print("molecule              dt, fs  fluctuation, kJ/mol  drift, meV/ps per atom")
    for molecule in load_molecules(config.paths.data / "raw"):
        start = None
        for dt_fs in (2.0, 1.0, 0.5):
            md = config.md.model_copy(update={"dt_fs": dt_fs})
            system = load_system(
                molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent
            )
            sampler = Sampler(system, "Reference", md, molecule.name, lambda _: None)
            if start is None:
                start = sampler.equilibrate(molecule.positions, 300.0, md.seed)
            steps = round(LENGTH_PS / md.dt_ps)
            frames = sampler.window(*start, n_steps=steps, interval=round(20 / dt_fs))
            etot = frames.epot + kinetic_energy(frames.vel, molecule.masses)
            slope = np.polyfit(frames.steps * md.dt_ps, etot, 1)[0] / molecule.n_atoms
            print(
                f"{molecule.name:<20}  {dt_fs:>6}  {etot.std():>19.3f}  "
                f"{slope * MEV_PER_KJ_PER_MOL:>22.1e}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
