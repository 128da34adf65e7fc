"""What the structure of a jump is worth: plain MD, regressed jumps, splittings and GHMC.

    python benchmarks/structure.py --molecule aspirin paths.data=... paths.run=runs/structure \
        hybrid.k_steps=8

Every method runs the same molecule from the same equilibrium states in one process on one thread:
NVE for `--nve-ps` a replica (nothing rescales; where a guard is on its firings are counted), and
sampling at 300 K for `--nvt-ps` a replica. The splitting is that of `hybrid.network`, the shipped
one where nothing is said; `--network NAME=CHECKPOINT` adds others. What was found goes to
`<paths.run>/structure/<molecule>_k<K>.json` after every method; methods that are there are not run
again, nor plain MD where the file of another stride has it. `structure_tables.py` makes tables and
figures of these files.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import command
from sampled import Run, drifts, effective_samples, temperatures, trace

from kstep.artifacts import hash_file, read_json, write_json
from kstep.config import Config, HybridConfig, load_config
from kstep.integrators.compiled_dynamics import make_dynamics
from kstep.integrators.correctors import CORRECTORS
from kstep.integrators.ghmc import GhmcStep
from kstep.integrators.outer_step import MacroStep
from kstep.integrators.plain import Sampler
from kstep.integrators.reference.variants import variant
from kstep.integrators.state import Jump
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials.systems import load_system, particle_masses
from kstep.progress import progress
from kstep.regressed.learned import load_learned_jump
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.windows.splits import load_split
from kstep.surrogates.shipped import weights_file
from kstep.system.mechanics import kinetic_energy
from kstep.system.molecule import Molecule
from kstep.system.prepared import prepared_molecules
from kstep.testing.oracles import ExactJump
from kstep.workflow.networks import networks_for

TEMPERATURE = 300.0
FRAME_PS = 0.1
"""Time between frames, at least."""
PLAIN = {"MD 2 fs": "langevin_middle", "MD 4 fs, H 3 Da": "hmr_3"}
"""Plain MD and the variants of the control runs that it is."""

Starts = list[tuple[np.ndarray, np.ndarray]]
Results = list[tuple[str, Run]]


@dataclass(frozen=True)
class Setting:
    """One molecule, and the states [replica] that all methods start from, by ensemble.

    Attributes:
        length_ps: of each replica, by ensemble.
    """

    config: Config
    molecule: Molecule
    starts: dict[str, Starts]
    length_ps: dict[str, float]


def main() -> None:
    options = _arguments()
    config = load_config(options.config, ["hybrid.network=shipped", *options.overrides])
    (molecule,) = (m for m in prepared_molecules(config) if m.name == options.molecule)
    torch.set_num_threads(1)
    k_steps = config.stride
    path = config.paths.run / "structure" / f"{molecule.name}_k{k_steps}.json"
    named = {name: Path(file) for name, file in (one.split("=", 1) for one in options.network)}
    networks = {"splitting": networks_for(config, [molecule])[molecule.name].checkpoint, **named}
    found = read_json(path) if path.exists() else _beginning(config, molecule, networks)
    found["methods"] |= _plain_of_other_strides(path, molecule.name)
    setting = _setting(config, molecule, options)
    methods = _methods(setting, networks)
    chosen = [name for name in options.only or methods if name not in found["methods"]]
    with progress(f"structure {molecule.name} k={k_steps}", len(chosen), "methods") as bar:
        for name in chosen:
            found["methods"][name] = {
                ensemble: _measured(molecule, ensemble, run) for ensemble, run in methods[name]()
            }
            write_json(path, found)
            bar.update(1)


def _arguments() -> argparse.Namespace:
    parser = command(__doc__)
    parser.add_argument("--molecule", required=True)
    parser.add_argument("--network", action="append", default=[], metavar="NAME=CHECKPOINT")
    parser.add_argument("--nve-replicas", type=int, default=4)
    parser.add_argument("--nvt-replicas", type=int, default=8)
    parser.add_argument("--nve-ps", type=float, default=1000.0)
    parser.add_argument("--nvt-ps", type=float, default=250.0)
    parser.add_argument("--only", action="append", help="a method; may be repeated")
    return parser.parse_args()


def _beginning(config: Config, molecule: Molecule, networks: dict[str, Path]) -> dict[str, Any]:
    return {
        "molecule": molecule.name,
        "n_atoms": molecule.n_atoms,
        "k_steps": config.stride,
        "seen": _seen(config, molecule, networks["splitting"]),
        "methods": {},
    }


def _plain_of_other_strides(path: Path, name: str) -> dict[str, Any]:
    plain = {}
    for other in sorted(path.parent.glob(f"{name}_k*.json")):
        methods = read_json(other)["methods"]
        plain |= {method: methods[method] for method in PLAIN if method in methods}
    return plain


def _seen(config: Config, molecule: Molecule, checkpoint: Path) -> bool:
    """Whether the network was trained on the molecule, by the splits of its training."""
    hashes = load_jump(checkpoint).record.get("split_hashes", {})
    path = config.paths.data / "splits" / "train.json"
    if not path.exists() or hash_file(path) != hashes.get("train"):
        return False
    return molecule.name in load_split(path).seen_molecules


def _setting(config: Config, molecule: Molecule, options: argparse.Namespace) -> Setting:
    md = config.md
    system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
    sampler = Sampler(system, "Reference", md, molecule.name, lambda _: None)
    starts = [
        sampler.equilibrate(molecule.positions, TEMPERATURE, md.seed + replica)
        for replica in range(max(options.nve_replicas, options.nvt_replicas))
    ]
    sampling = starts[: options.nvt_replicas]
    return Setting(
        config,
        molecule,
        {"NVE": starts[: options.nve_replicas], "NVT": sampling, "GHMC": sampling},
        {"NVE": options.nve_ps, "NVT": options.nvt_ps, "GHMC": options.nvt_ps},
    )


def _measured(molecule: Molecule, ensemble: str, run: Run) -> dict[str, Any]:
    """What is kept of a run, as JSON."""
    kept: dict[str, Any] = {
        "calls": run.calls,
        "seconds": run.seconds,
        "replicas": run.pos.shape[1],
        "length_ps": run.length_ps,
        "passed": run.passed,
        "temperatures": temperatures(molecule, run),
    }
    if ensemble == "NVE":
        return kept | {"drift": drifts(molecule, run), "trace": trace(molecule, run)}
    return kept | {"samples": effective_samples(molecule, run)}


def _methods(setting: Setting, networks: dict[str, Path]) -> dict[str, Callable[[], Results]]:
    """Methods by name, in the order of the table."""
    k = setting.config.stride
    methods: dict[str, Callable[[], Results]] = {
        name: lambda control=control: _plain(setting, control) for name, control in PLAIN.items()
    }
    propagator = weights_file("propagator", k)
    if propagator.exists():
        regressed = setting.config.hybrid.model_copy(update={"corrector": "drift_kick_drift"})
        methods["propagator"] = lambda: _hybrid(setting, propagator, regressed, ("NVE", "NVT"))
    closing = setting.config.hybrid
    for name, checkpoint in networks.items():
        methods[name] = lambda checkpoint=checkpoint: _hybrid(
            setting, checkpoint, closing, ("NVE", "NVT", "GHMC")
        )
    for name, own in (
        ("splitting, 3 further chances", {"extra_chances": 3}),
        ("splitting, half drifts", {"drifts_per_step": 2}),
    ):
        config = closing.model_copy(update=own)
        methods[name] = lambda config=config: _hybrid(
            setting, networks["splitting"], config, ("GHMC",)
        )
    methods["leapfrog"] = lambda: _leapfrog(setting, closing)
    return methods


def _learned(setting: Setting, checkpoint: Path, hybrid: HybridConfig) -> Jump:
    config = setting.config
    return load_learned_jump(
        checkpoint,
        setting.molecule,
        config.stride,
        config.md.dt_ps,
        CORRECTORS[hybrid.corrector].landing,
        hybrid.drifts_per_step,
        hybrid.impulse,
    )


def _plain(setting: Setting, name: str) -> Results:
    """Velocity Verlet, and its Langevin dynamics, with the step and masses of a control."""
    control = variant(name, setting.config.md)
    system = control.system(setting.molecule, setting.config.md)
    md = setting.config.md.model_copy(update={"dt_fs": 1e3 * control.dt_ps})
    sampler = Sampler(system, "Reference", md, setting.molecule.name, lambda _: None)
    masses = particle_masses(system)
    interval = round(FRAME_PS / md.dt_ps)
    results = []
    for ensemble in ("NVE", "NVT"):
        steps = round(setting.length_ps[ensemble] / md.dt_ps)
        starts = setting.starts[ensemble]
        if not np.allclose(masses, setting.molecule.masses):  # its velocities are others too
            starts = [
                sampler.equilibrate(x, TEMPERATURE, md.seed + replica)
                for replica, (x, _) in enumerate(starts)
            ]
        began = time.perf_counter()
        frames = []
        for replica, (x, v) in enumerate(starts):
            if ensemble == "NVE":
                frames.append(sampler.window(x, v, steps, interval))
            else:
                seed = md.seed + replica
                frames.append(sampler.sample(x, v, TEMPERATURE, seed, steps, interval))
        pos, vel = (np.stack([getattr(f, a) for f in frames], axis=1) for a in ("pos", "vel"))
        etot = np.stack([f.epot for f in frames], axis=1) + kinetic_energy(vel, masses)
        seconds = time.perf_counter() - began
        calls = steps * len(frames)
        results.append((ensemble, Run(pos, vel, etot, FRAME_PS, calls, seconds, 1.0, masses)))
    return results


def _hybrid(
    setting: Setting, checkpoint: Path, hybrid: HybridConfig, ensembles: Sequence[str]
) -> Results:
    jump = _learned(setting, checkpoint, hybrid)
    return [(ensemble, _propagate(setting, jump, hybrid, ensemble)) for ensemble in ensembles]


def _leapfrog(setting: Setting, hybrid: HybridConfig) -> Results:
    """GHMC whose proposal is k true steps: what plain leapfrog makes of the same test."""
    k_steps = setting.config.stride
    jump = ExactJump(_dynamics(setting), k_steps, "closing_kick")
    run = _propagate(setting, jump, hybrid, "GHMC")
    # The proposal's own forces count here; its first and last are the test's and the next one's.
    return [("GHMC", replace(run, calls=run.calls * k_steps))]


def _propagate(setting: Setting, jump: Jump, hybrid: HybridConfig, ensemble: str) -> Run:
    starts = setting.starts[ensemble]
    dynamics, size = _dynamics(setting), len(starts)
    rng = np.random.default_rng(setting.config.hybrid.seed)
    if ensemble == "GHMC":
        step: MacroStep = GhmcStep(jump, dynamics, hybrid, size, TEMPERATURE, rng)
    else:
        step = MacroStep(jump, dynamics, hybrid, size, "nvt" if ensemble == "NVT" else "nve")
    friction = hybrid.friction_per_ps
    refresh = OrnsteinUhlenbeck(dynamics, TEMPERATURE, friction, step.duration, rng)
    every = max(1, round(FRAME_PS / step.duration))
    n_frames = round(setting.length_ps[ensemble] / (every * step.duration))
    state = step.start(*(np.stack(part) for part in zip(*starts, strict=True)))
    frames = []
    began = time.perf_counter()
    for _ in range(n_frames):
        for _ in range(every):
            state = step(state)
            if ensemble != "NVE":
                state = refresh(state)
        frames.append((state.x, state.v, state.etot(dynamics.masses)))
    seconds = time.perf_counter() - began
    accounts = step.accounts
    passed = 1.0 - accounts.rejected_jumps / accounts.macro_steps
    share = accounts.acceptances / accounts.macro_steps if accounts.proposals else passed
    pos, vel, etot = (np.array(part) for part in zip(*frames, strict=True))
    calls = int(accounts.calls.sum())
    return Run(pos, vel, etot, every * step.duration, calls, seconds, share, dynamics.masses)


def _dynamics(setting: Setting) -> TrueDynamics:
    md = setting.config.md
    system = load_system(
        setting.molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent
    )
    return make_dynamics(system, md.dt_ps, "Reference", setting.molecule.name)


if __name__ == "__main__":
    main()
