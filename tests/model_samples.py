"""Small jump models with random weights and random states, for all architectures."""

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import nn

from kstep.config import ModelConfig
from kstep.regressed.networks.batch import JumpBatch
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics, Scales
from kstep.regressed.networks.splitting import closing_weight
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms
from kstep.system.force_field import pad_terms
from term_samples import no_terms, random_terms

REGRESSED = ("propagator", "torchmdnet_et")
SPLITTINGS = ("splitting", "splitting direct")
"""By conservative kicks and by direct ones."""
ARCHITECTURES = (*REGRESSED, *SPLITTINGS)
PHYSICS = JumpPhysics(
    k_steps=8,
    dt_ps=0.002,
    landing="half_step",
    scales=Scales(velocity=1.4, force=5.0, position_residual=1.4, velocity_residual=2.0),
    caps_nm={1: 0.17, 6: 0.05, 8: 0.05},
    masses_Da={1: (1.008,), 6: (12.011,), 8: (15.999,)},
    fingerprints={"sample": "fingerprint of sample"},
    temperatures_K=(300.0,),
)
SPLITTING_PHYSICS = PHYSICS.model_copy(
    update={"landing": "closing_kick", "closing_ps": closing_weight(PHYSICS.k_steps, PHYSICS.dt_ps)}
)
MASSES = {0: 0.0, 1: 1.008, 6: 12.011, 8: 15.999}


def make_model(arch: str, seed: int = 1, **settings: object) -> JumpModel:
    """A small model, all of whose weights are random: nothing is silent.

    `arch` is of `ARCHITECTURES`.
    """
    name, _, kicks = arch.partition(" ")
    config = ModelConfig(
        arch=name,
        kicks=kicks or "conservative",
        **{
            "hidden_channels": 16,
            "vec_channels": 8,
            "num_layers": 3,
            "num_operators": 4,
            "num_heads": 2,
            **settings,
        },
    )
    torch.manual_seed(seed)
    splitting = name == "splitting"
    model = build_model(config, SPLITTING_PHYSICS if splitting else PHYSICS)
    spread = 0.02 if splitting else 0.3  # forces of a splitting shall be those of a molecule
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0.0, spread)
    return model.eval()


def make_batch(
    sizes: tuple[int, ...] = (9,), seed: int = 0, padding: int = 0, loose: Collection[int] = ()
) -> JumpBatch:
    """Random molecules of the given sizes, atoms at least 0.08 nm apart, padded.

    Those numbered in `loose` have no bonds. `padding` atoms and terms of each kind are added.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (len(sizes), max(sizes) + padding)
    species = torch.zeros(shape, dtype=torch.long)
    x, v, f = (torch.zeros(*shape, 3) for _ in range(3))
    molecules = []
    for row, size in enumerate(sizes):
        kinds = torch.randint(0, 3, (size,), generator=generator)
        species[row, :size] = torch.tensor([1, 6, 8])[kinds]
        x[row, :size] = _apart(size, generator)
        v[row, :size] = torch.randn(size, 3, generator=generator) * 0.7
        f[row, :size] = torch.randn(size, 3, generator=generator) * 800.0
        own = x[row, :size].double().numpy()
        molecules.append(no_terms(size) if row in loose else random_terms(own, seed + row))
    masses = torch.tensor([MASSES[number] for number in species.flatten().tolist()])
    terms = batch_terms(pad_terms(molecules))
    padded = {name: nn.functional.pad(t, (0, 0, 0, padding)) for name, t in vars(terms).items()}
    return JumpBatch(species, masses.view(shape), x, v, f, TermBatch(**padded))


def select(batch: JumpBatch, row: int) -> JumpBatch:
    """One molecule of a batch, without its padding."""
    size, rows = int(batch.mask[row].sum()), torch.tensor([row])
    states = {name: part[rows, :size] for name, part in states_of(batch).items()}
    return JumpBatch(**states, terms=batch.terms.of(rows, size))


def states_of(batch: JumpBatch) -> dict[str, torch.Tensor]:
    """What a batch says of its atoms, by name."""
    return {name: part for name, part in vars(batch).items() if name != "terms"}


def renumber(terms: TermBatch, new: torch.Tensor) -> TermBatch:
    """The terms of molecules whose atom a is now called new[a]."""
    atoms = {name: new[getattr(terms, name)] for name in ("bonds", "angles", "torsions")}
    return replace(terms, **atoms)


def _apart(size: int, generator: torch.Generator) -> torch.Tensor:
    points: list[torch.Tensor] = []
    while len(points) < size:
        point = torch.rand(3, generator=generator) * 0.12 * size ** (1 / 3)
        if all((point - other).norm() > 0.08 for other in points):
            points.append(point)
    return torch.stack(points)
