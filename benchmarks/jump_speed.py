"""How fast a jump is on one CPU thread, and how fast its network is trained.

    python benchmarks/jump_speed.py paths.data=data hybrid.k_steps=8
    python benchmarks/jump_speed.py paths.data=data hybrid.k_steps=8 --splitting FILE

The shipped splitting, the shipped propagator and TorchMD-Net's ET of a usual size (random weights;
so is the propagator where none is shipped for this k) against the base steps that one jump
replaces, with the fastest integrator on the fastest platform. All sides are timed in this process
in alternating rounds; ratios are given with their quartiles over the rounds. Molecules are those in
`paths.data`, or those named in `hybrid.molecules`; each takes about a minute, most of it the ET's.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

import kstep.regressed.networks.recording
from kstep.config import Config, ModelConfig, load_config
from kstep.integrators.platforms import time_platforms
from kstep.potentials.systems import load_system
from kstep.regressed.learned import as_configured
from kstep.regressed.networks.batch import JumpBatch
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics, Scales
from kstep.regressed.networks.predictor import make_predictor
from kstep.regressed.training.objective import training_loss
from kstep.regressed.training.windows import WindowBatch
from kstep.surrogates.force_field_like.terms import batch_terms
from kstep.surrogates.optimiser import make_optimiser
from kstep.surrogates.shipped import weights_file
from kstep.system.force_field import pad_terms
from kstep.system.molecule import Molecule
from kstep.system.prepared import load_molecules

TRANSFORMER = ModelConfig(
    arch="torchmdnet_et", hidden_channels=128, num_layers=4, num_heads=4, vec_channels=16
)
REPLICAS = (1, 16, 256)
ROUNDS = 5
PROPAGATOR = ModelConfig(arch="propagator", hidden_channels=64, rbf_size=16)

Calls = Mapping[str, Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--splitting", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_args()
    config = load_config([], options.overrides)
    chosen = config.hybrid.molecules
    molecules = [
        molecule
        for molecule in load_molecules(config.paths.data / "raw")
        if chosen is None or molecule.name in chosen
    ]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    # A predictor records its network after many jumps: here as if they had been made.
    kstep.regressed.networks.recording.WORTH_RECORDING = 1
    splitting = options.splitting or weights_file("splitting", config.stride)
    models = make_models(config, molecules, splitting)
    for name, model in models.items():
        size = sum(parameter.numel() for parameter in model.parameters())
        print(f"{name}: {size:,} parameters, k = {model.physics.k_steps}")
    jumps_alone(config, models, molecules)
    jumps_together(models["propagator"], molecules)
    training(config, models, molecules)


def make_models(
    config: Config, molecules: list[Molecule], splitting: Path
) -> Mapping[str, JumpModel]:
    """One network of every architecture, for the elements of the molecules."""
    k_steps = config.stride
    elements = sorted({int(number) for molecule in molecules for number in molecule.numbers})
    physics = JumpPhysics(
        k_steps=k_steps,
        dt_ps=config.md.dt_ps,
        landing="half_step",
        scales=Scales(velocity=1.5, force=5.0, position_residual=1.5, velocity_residual=2.0),
        caps_nm=dict.fromkeys(elements, 0.1),
        masses_Da=dict.fromkeys(elements, (1.0,)),
        fingerprints={},
        temperatures_K=(300.0,),
    )
    shipped = weights_file("propagator", k_steps)
    models = {
        "splitting": as_configured(load_jump(splitting).model, config),
        "propagator": load_jump(shipped).model
        if shipped.exists()
        else build_model(PROPAGATOR, physics),
        "torchmdnet_et": build_model(TRANSFORMER, physics),
    }
    return {name: model.eval().requires_grad_(False) for name, model in models.items()}


def jumps_alone(config: Config, models: Mapping[str, JumpModel], molecules: list[Molecule]) -> None:
    """Replicas of one molecule at a time."""
    names = "".join(f"{name:>15}" for name in models)
    print(
        f"\nms per jump and replica       atoms replicas{names}  true steps  splitting / true steps"
    )
    k_steps = config.stride
    for molecule in molecules:
        system = load_system(
            molecule, config.md.nonbonded_cutoff_nm, config.md.constraints,
            config.md.implicit_solvent,
        )  # fmt: skip
        predictors = {
            name: make_predictor(model, molecule.numbers, molecule.masses, molecule.terms)
            for name, model in models.items()
        }
        for replicas in REPLICAS:
            states = random_states(molecule, replicas)
            calls = {
                name: lambda jump=jump, states=states: jump(*states)
                for name, jump in predictors.items()
            }
            times = alternating(calls, repeats=max(1, 16 // replicas))
            steps = [
                k_steps * time_platforms(system, molecule.positions, config.md.dt_ps, 0.03)
                .fastest_step
                for _ in range(ROUNDS)
            ]  # fmt: skip
            each = "".join(f"{1e3 * np.median(times[n]) / replicas:>15.3f}" for n in models)
            print(
                f"{molecule.name:<28}  {molecule.n_atoms:>5} {replicas:>8}{each}  "
                f"{1e3 * np.median(steps):>10.3f}  "
                f"{spread(times['splitting'] / replicas / np.array(steps))}",
                flush=True,
            )


def jumps_together(model: JumpModel, molecules: list[Molecule]) -> None:
    """One state of each molecule: one padded network call, or one call each."""
    single = [random_states(molecule, 1) for molecule in molecules]
    predictors = [
        make_predictor(model, molecule.numbers, molecule.masses, molecule.terms)
        for molecule in molecules
    ]
    batch = padded_batch(molecules, single)

    def together() -> None:
        with torch.inference_mode():
            model(batch)

    def each() -> None:
        for predictor, states in zip(predictors, single, strict=True):
            predictor(*states)

    times = alternating({"together": together, "each": each}, repeats=4)
    count = len(molecules)
    print(
        f"\n{count} molecules at once, ms per jump: "
        f"{1e3 * np.median(times['together']) / count:.3f} in one call, "
        f"{1e3 * np.median(times['each']) / count:.3f} in one call each; "
        f"ratio {spread(times['together'] / times['each'])}"
    )


def training(config: Config, models: Mapping[str, JumpModel], molecules: list[Molecule]) -> None:
    """Forward, backward and optimiser on a batch of one molecule, the molecules in turn."""
    settings = config.train
    batches = []
    for molecule in molecules:
        states = random_states(molecule, settings.batch_size)
        start = replicas_batch(molecule, states)
        still = torch.zeros_like(start.x)
        batches.append(WindowBatch(start, still, still, still))
    calls = {}
    for name, model in models.items():
        model.train().requires_grad_(True)
        optimiser = make_optimiser(model, settings)

        def steps(model: JumpModel = model, optimiser: torch.optim.Optimizer = optimiser) -> None:
            for batch in batches:
                training_loss(model, batch, settings).total.backward()
                optimiser.step()
                optimiser.zero_grad()

        calls[name] = steps
    times = alternating(calls, repeats=1)
    print(f"\ntraining steps per second, {settings.batch_size} windows each ({settings.optimiser})")
    for name, seconds in times.items():
        print(f"  {name:<14} {spread(len(batches) / seconds)}")


def random_states(molecule: Molecule, replicas: int) -> tuple[np.ndarray, ...]:
    """(x, v, F) about the minimum."""
    rng = np.random.default_rng(0)
    shape = (replicas, molecule.n_atoms, 3)
    x = molecule.positions + 0.002 * rng.standard_normal(shape)
    return x, rng.standard_normal(shape), 100.0 * rng.standard_normal(shape)


def replicas_batch(molecule: Molecule, states: tuple[np.ndarray, ...]) -> JumpBatch:
    """Many states of one molecule."""
    replicas = len(states[0])
    species = torch.from_numpy(molecule.numbers.astype(np.int64)).expand(replicas, -1)
    masses = torch.from_numpy(molecule.masses.astype(np.float32)).expand(replicas, -1)
    x, v, f = (torch.from_numpy(array.astype(np.float32)) for array in states)
    terms = batch_terms(pad_terms([molecule.terms])).expand(replicas)
    return JumpBatch(species, masses, x, v, f, terms)


def padded_batch(molecules: list[Molecule], single: list[tuple[np.ndarray, ...]]) -> JumpBatch:
    """One state of each of several molecules."""
    n_atoms = max(molecule.n_atoms for molecule in molecules)

    def padded(arrays: list[np.ndarray], kind: type) -> torch.Tensor:
        result = np.zeros((len(arrays), n_atoms, *arrays[0].shape[1:]), kind)
        for row, array in zip(result, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(result)

    x, v, f = (padded([states[n][0] for states in single], np.float32) for n in range(3))
    species = padded([molecule.numbers for molecule in molecules], np.int64)
    masses = padded([molecule.masses for molecule in molecules], np.float32)
    terms = batch_terms(pad_terms([molecule.terms for molecule in molecules]))
    return JumpBatch(species, masses, x, v, f, terms)


def alternating(calls: Calls, repeats: int) -> Mapping[str, np.ndarray]:
    """Seconds per call of each, once in every round, after a warm-up."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            seconds[name].append((time.perf_counter() - start) / repeats)
    return {name: np.array(values) for name, values in seconds.items()}


def spread(values: np.ndarray) -> str:
    """Median and quartiles."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
