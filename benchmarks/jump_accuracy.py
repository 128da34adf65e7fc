"""How accurate jumps are: relative errors on true windows, and what a jump does to the energy.

    python benchmarks/jump_accuracy.py --checkpoint FILE paths.data=... hybrid.k_steps=8
    python benchmarks/jump_accuracy.py --adapted paths.data=... paths.run=... hybrid.k_steps=8

Windows are those of the bursts in paths.data/md of every prepared molecule, none of which the
checkpoint may have been trained on. Energy: the change of the total energy by jump and
corrector, no rescaling, and by the same number of true steps from the same states; `guard` is the
share of these jumps that the guard's bound on one jump would refuse. Time: one jump of one
molecule on one thread.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from command import command

from kstep.config import Config, load_config
from kstep.integrators.compiled_dynamics import make_dynamics
from kstep.integrators.guard import energy_is_kept
from kstep.integrators.outer_step import MacroStep
from kstep.potentials.systems import load_system
from kstep.regressed.learned import Network, as_configured, load_learned_jump
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.recording import WORTH_RECORDING
from kstep.regressed.training.scores import score
from kstep.regressed.training.windows import jump_windows
from kstep.regressed.windows.bursts import read_states, survey
from kstep.regressed.windows.windows import cut_windows
from kstep.system.mechanics import kinetic_energy
from kstep.system.molecule import Molecule
from kstep.system.prepared import load_molecules
from kstep.workflow.networks import networks_for

STATES = 400
"""Starts of the energy test, spread over all bursts."""
WINDOWS = 4000
REPEATS = 50


@dataclass(frozen=True)
class Row:
    """What is measured of one molecule; errors are shares, energies kJ/mol, time ms."""

    molecule: str
    rel_dx: float
    rel_dv: float
    mean: float
    spread: float
    true_spread: float
    refused: float
    milliseconds: float


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--adapted", action="store_true")
    options = parser.parse_args()
    config = load_config(options.config, options.overrides)
    molecules = load_molecules(config.paths.data / "raw")
    network = "adapted" if options.adapted else options.checkpoint or "shipped"
    hybrid = config.hybrid.model_copy(update={"network": network})
    networks = networks_for(config.model_copy(update={"hybrid": hybrid}), molecules)
    torch.set_num_threads(1)
    print("molecule                    Δx err  Δv err   ΔE jump, kJ/mol  true steps  ratio  "
          "guard    ms")  # fmt: skip
    rows = []
    for molecule in molecules:
        row = measure(config, molecule, networks[molecule.name])
        rows.append(row)
        print(
            f"{row.molecule:<26}  {row.rel_dx:6.2%}  {row.rel_dv:6.2%}   {row.mean:+6.2f} ± "
            f"{row.spread:6.2f}  {row.true_spread:10.2f}  {row.spread / row.true_spread:5.1f}  "
            f"{row.refused:5.2%}  {row.milliseconds:4.1f}",
            flush=True,
        )
    for name in ("rel_dx", "rel_dv"):
        values = np.array([getattr(row, name) for row in rows])
        print(f"{name}: median {np.median(values):.2%}, worst {values.max():.2%}")


def measure(config: Config, molecule: Molecule, network: Network) -> Row:
    """All of one molecule."""
    source = survey(config.paths.data / "md" / f"{molecule.name}.npz")
    k_steps = config.stride
    model = as_configured(load_jump(network.checkpoint).model, config)
    physics = model.physics
    record = {"k_steps": k_steps, "dt_ps": source.dt_ps, "molecules": [molecule.name]}
    dataset = cut_windows([source], k_steps, record, lambda: None)
    windows = jump_windows(dataset, physics.landing, physics.closing_ps)
    chosen = np.linspace(0, dataset.n_windows - 1, min(WINDOWS, dataset.n_windows)).astype(int)
    relative = score(model, windows, torch.from_numpy(np.unique(chosen))).all
    states = read_states(source)
    starts = np.unique(np.linspace(0, len(states.x) - 1, STATES).astype(int))
    x, v = (np.asarray(a[starts, 0], dtype=np.float64) for a in (states.x, states.v))
    md = config.md
    system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
    dynamics = make_dynamics(system, md.dt_ps, "Reference", molecule.name)
    jump = load_learned_jump(
        network.checkpoint,
        molecule,
        config.stride,
        md.dt_ps,
        physics.landing,
        config.hybrid.drifts_per_step,
        config.hybrid.impulse,
    )
    macro_step = MacroStep(jump, dynamics, config.hybrid, len(x))
    start = macro_step.start(x, v)
    attempt = macro_step.attempt(start)
    before = start.etot(molecule.masses)
    true = []
    for row in range(len(x)):
        end = dynamics.steps(x[row], v[row], macro_step.base_steps)
        true.append(end.epot + float(kinetic_energy(end.v, molecule.masses)) - before[row])
    kept = energy_is_kept(config.hybrid.guard, attempt.error, attempt.error)
    for _ in range(WORTH_RECORDING + REPEATS):
        jump(x[:1], v[:1], start.forces[:1])
    began = time.perf_counter()
    for _ in range(REPEATS):
        jump(x[:1], v[:1], start.forces[:1])
    milliseconds = 1e3 * (time.perf_counter() - began) / REPEATS
    return Row(
        molecule.name,
        relative.rel_dx,
        relative.rel_dv,
        float(attempt.error.mean()),
        float(attempt.error.std()),
        float(np.std(true)),
        float(1.0 - kept.mean()),
        milliseconds,
    )


if __name__ == "__main__":
    main()
