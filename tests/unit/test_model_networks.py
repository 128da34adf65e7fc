"""What is particular to each architecture, gradients, the predictor, the summary."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kstep.config import ModelConfig
from kstep.errors import ConfigError
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.internal import internal_geometry
from kstep.regressed.networks.jump import NetworkInput
from kstep.regressed.networks.predictor import make_predictor
from kstep.regressed.networks.propagator import Propagator, share_layers
from kstep.regressed.networks.summary import summarise
from kstep.surrogates.force_field_like.terms import TermBatch
from model_samples import (
    ARCHITECTURES,
    PHYSICS,
    REGRESSED,
    make_batch,
    make_model,
    renumber,
)
from term_samples import random_terms


@pytest.fixture(params=ARCHITECTURES)
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=REGRESSED)
def regressed(request: pytest.FixtureRequest) -> str:
    return request.param


class Capture(nn.Module):
    """Keeps what the network was given."""

    def forward(self, inputs: NetworkInput) -> torch.Tensor:
        self.inputs = inputs
        return torch.zeros(*inputs.x.shape, 2)


def network_input(sizes: tuple[int, ...], seed: int = 0) -> NetworkInput:
    model = make_model("propagator")
    model.network = Capture()
    model(make_batch(sizes, seed=seed))
    return model.network.inputs


def test_every_weight_learns(arch: str) -> None:
    model = make_model(arch, use_force_head=True).train()
    jump = model(make_batch((9,)))
    parts = (jump.dx, jump.dv) if jump.force is None else (jump.dx, jump.dv, jump.force)
    sum(part.square().sum() for part in parts).backward()
    unused = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # TorchMD-Net's last scalar outputs and last attention output are not read by vector heads.
    assert {n for n in unused if "network.body.attention_layers.2" not in n} <= set()


def test_fresh_model_predicts_free_flight(regressed: str) -> None:
    config = ModelConfig(arch=regressed, hidden_channels=16, num_layers=2, num_heads=2)
    torch.manual_seed(0)
    batch = make_batch((6,))
    assert not build_model(config, PHYSICS)(batch).dv.any()


def test_transformer_without_vectors_is_torchmdnets_own() -> None:
    """Same features as `TorchMD_ET.forward`, beyond its default cap of 32 neighbours."""
    network = make_model("torchmdnet_et", cutoff_nm=0.5).network
    inputs = network_input((45, 30))
    species = inputs.species[inputs.mask]
    vec = torch.zeros(75, 3, 16)
    scalars, vectors = network.represent(species, vec, inputs)
    network.body.distance.max_num_pairs = -64
    molecule = torch.arange(2)[:, None].expand(2, 45)[inputs.mask]
    expected, expected_vec, *_ = network.body(species, 10.0 * inputs.x[inputs.mask], molecule)
    assert torch.allclose(scalars, expected, rtol=1e-4, atol=1e-4)
    assert torch.allclose(vectors, expected_vec, rtol=1e-4, atol=1e-4)
    edges, _, _ = network.neighbours(inputs)
    assert int(torch.bincount(edges[1]).max()) > 33


def test_transformer_basis_works_in_angstrom() -> None:
    network = make_model("torchmdnet_et").network
    basis = network.body.distance_expansion
    assert float(basis(torch.tensor([1.0])).max()) > 0.5  # a bond, in Å
    assert float(basis(torch.tensor([7.0])).abs().max()) < 1e-6
    assert network.body.cutoff_upper == pytest.approx(7.0)


def test_transformer_recomputation_changes_nothing() -> None:
    batch = make_batch((7,))
    gradients = []
    for recompute in (False, True):
        model = make_model("torchmdnet_et").train()
        model.network.recompute = recompute
        model(batch).dx.square().sum().backward()
        gradients.append(
            torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        )
    assert torch.allclose(*gradients)


def test_heads_must_divide_channels() -> None:
    config = ModelConfig(arch="torchmdnet_et", hidden_channels=10, num_heads=4)
    with pytest.raises(ConfigError, match=r"hidden_channels=10 is not a multiple"):
        build_model(config, PHYSICS)


def moving(inputs: NetworkInput, motion: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mass-weighted vectors of a rigid motion [1, 9, 3, 8], and the mobility they go with."""
    axis = torch.tensor([0.3, -0.8, 0.5]).expand(1, 9, 3)
    rigid = 3.0 * axis if motion == "translation" else torch.linalg.cross(axis, 10.0 * inputs.x)
    mobility = (2.0 * inputs.inverse_root_mass)[..., None]
    return (rigid[..., None] / mobility).expand(1, 9, 3, 8).contiguous(), mobility


def atoms_seen(network: Propagator, inputs: NetworkInput) -> torch.Tensor:
    """Features of the atoms."""
    pairs = network.geometry(inputs.x, inputs.mask)
    return network.invariants.atoms(inputs.species, inputs.terms, pairs)


@pytest.mark.parametrize("motion", ["translation", "rotation"])
def test_pair_operators_act_on_relative_motion(motion: str) -> None:
    """Rigid motion stretches no bond: no projected force; translation: no force at all."""
    network, inputs = make_model("propagator").network, network_input((9,))
    pairs = network.geometry(inputs.x, inputs.mask)
    features = network.invariants.pairs(atoms_seen(network, inputs), pairs)
    passage = network.passages[0]
    operators = passage.pair_head(pairs, features)
    operators = replace(operators, sources=torch.zeros_like(operators.sources))
    if motion == "rotation":
        operators = replace(operators, isotropic=torch.zeros_like(operators.isotropic))
    vec, mobility = moving(inputs, motion)
    assert torch.allclose(passage.pairs(vec, mobility, operators), vec, atol=1e-4)
    bent = vec + torch.randn(vec.shape, generator=torch.Generator().manual_seed(0))
    assert float((passage.pairs(bent, mobility, operators) - bent).abs().max()) > 1e-2


@pytest.mark.parametrize("motion", ["translation", "rotation"])
def test_internal_operators_act_on_relative_motion(motion: str) -> None:
    """Rigid motion changes no internal coordinate; their sources make neither force nor torque."""
    network, inputs = make_model("propagator").network, network_input((9,))
    nodes = atoms_seen(network, inputs)
    passage = network.passages[0]
    operators = passage.internal_head(nodes, internal_geometry(inputs.x, inputs.terms))
    quiet = replace(operators, sources=torch.zeros_like(operators.sources))
    layer = passage.internals[0]
    vec, mobility = moving(inputs, motion)
    assert torch.allclose(layer(vec, mobility, quiet), vec, atol=1e-4)
    bent = vec + torch.randn(vec.shape, generator=torch.Generator().manual_seed(0))
    assert float((layer(bent, mobility, quiet) - bent).abs().max()) > 1e-2
    pushed = (layer(vec, mobility, operators) - vec) / mobility
    assert float(pushed.abs().max()) > 1e-2
    assert float(pushed.sum(1).abs().max()) < 1e-4
    torque = torch.linalg.cross(inputs.x[..., None].expand_as(pushed), pushed, dim=2)
    assert float(torque.sum(1).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("layers", "geometries", "shares"),
    [(4, 1, [4]), (4, 3, [1, 2, 1]), (8, 3, [2, 3, 3]), (3, 3, [1, 1, 1]), (6, 2, [2, 4])],
)
def test_layers_are_shared_among_geometries(
    layers: int, geometries: int, shares: list[int]
) -> None:
    assert share_layers(layers, geometries) == shares
    network = make_model("propagator", num_layers=layers, num_geometries=geometries).network
    assert [len(passage.internals) for passage in network.passages] == shares
    assert len(network.waypoints) == geometries - 1


def test_a_molecule_without_bonds_is_moved_by_its_pairs() -> None:
    model, batch = make_model("propagator"), make_batch((6,), loose=(0,))
    bonded = make_batch((6,))
    assert torch.equal(batch.x, bonded.x)
    assert batch.terms.bonds.shape == (1, 0, 2)
    assert float((model(batch).dv - model(bonded).dv).abs().max()) > 1e-3
    assert model(batch).dv.any()


def side_by_side(first: TermBatch, second: TermBatch, n_atoms: int) -> TermBatch:
    """The terms of one molecule that consists of two, the first of `n_atoms`."""
    later = renumber(second, torch.arange(n_atoms, n_atoms + second.nonbonded.shape[1]))
    pairs = ((getattr(first, name), getattr(later, name)) for name in vars(first))
    return TermBatch(*(torch.cat(pair, dim=1) for pair in pairs))


def test_distant_atoms_do_not_feel_each_other(regressed: str) -> None:
    model = make_model(regressed, cutoff_nm=0.5, tanh_head=False)
    near, far = network_input((5,), seed=1), network_input((5,), seed=2)
    joined = {
        name: torch.cat((getattr(near, name), getattr(far, name)), dim=1)
        for name in vars(near)
        if name != "terms"
    }
    joined["x"] = torch.cat((near.x, far.x + 3.0), dim=1)
    terms = side_by_side(near.terms, far.terms, 5)
    together = model.network(NetworkInput(**joined, terms=terms))
    assert torch.allclose(together[:, :5], model.network(near), atol=1e-5)


def test_predictor_adds_differences_to_double_precision_states(arch: str) -> None:
    model, batch = make_model(arch), make_batch((8,))
    numbers, masses = batch.species[0].numpy(), batch.masses[0].double().numpy()
    terms = random_terms(batch.x[0].double().numpy())
    predictor = make_predictor(model, numbers, masses, terms)
    rng = np.random.default_rng(0)
    x = batch.x.double().numpy() + 100.0  # far away, where float32 resolves 1e-5 nm
    v, f = rng.normal(size=(2, 1, 8, 3))
    new_x, new_v = predictor(x, v, f)
    near_x, near_v = predictor(x - 100.0, v, f)
    assert new_x.dtype == new_v.dtype == np.float64
    assert np.abs(new_x - 100.0 - near_x).max() < 1e-7
    assert np.abs(new_v - near_v).max() < 1e-5
    assert np.abs(new_x - x).max() > 1e-3


def test_predictor_jumps_replicas_independently(arch: str) -> None:
    model, batch = make_model(arch), make_batch((8,))
    numbers, masses = batch.species[0].numpy(), batch.masses[0].double().numpy()
    predictor = make_predictor(model, numbers, masses, random_terms(batch.x[0].double().numpy()))
    rng = np.random.default_rng(0)
    # Near the lengths of the rigid bonds: from farther off one drift does not lead back to them.
    x = batch.x.double().numpy() + rng.normal(0.0, 5e-4, (3, 8, 3))
    v, f = rng.normal(size=(2, 3, 8, 3))
    together = predictor(x, v, f)
    for replica in range(3):
        alone = predictor(*(a[replica : replica + 1] for a in (x, v, f)))
        assert np.allclose(together[0][replica], alone[0][0], atol=1e-6)
        assert np.allclose(together[1][replica], alone[1][0], atol=1e-4)


def test_summary_counts_parameters(arch: str) -> None:
    model = make_model(arch)
    text = summarise(model.config)
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters" in text
    assert model.config.arch in text
