"""The training loss, and the scales and caps it is measured in."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.config import ModelConfig, TrainConfig
from kstep.regressed.networks.batch import JumpBatch, JumpPrediction
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics, Scales
from kstep.regressed.networks.splitting import SplittingJump, SplittingMolecules
from kstep.regressed.training.windows import JumpWindows, WindowBatch

CAP_QUANTILE = 0.9999
CAP_MARGIN = 2.0
"""`max_disp_nm: auto` is this margin times this quantile of |Δx|, per element."""


@dataclass(frozen=True, eq=False)
class Loss:
    """The terms of the loss, each in units of its scale, and their weighted sum.

    Attributes:
        position, velocity: mean square errors of the residuals.
        momentum: mean square COM shift and net momentum the network would have caused, had
            they not been projected out.
        force: mean square error of the predicted forces; zero where none are.
        total: the weighted sum.
    """

    position: Float[Tensor, ""]
    velocity: Float[Tensor, ""]
    momentum: Float[Tensor, ""]
    force: Float[Tensor, ""]
    total: Float[Tensor, ""]

    def terms(self) -> Mapping[str, Tensor]:
        """The terms by name, detached."""
        return {name: term.detach() for name, term in vars(self).items() if name != "total"}


def training_loss(model: JumpModel, batch: WindowBatch, weights: TrainConfig) -> Loss:
    """What is minimised: the error of jumps, or for a splitting that of the learned force.

    With the right force a splitting makes the right jump, and one evaluation of it teaches more
    than the k of a whole jump in k times the time.
    """
    if isinstance(model, SplittingJump):
        return force_loss(model, batch.start)
    return jump_loss(model(batch.start), batch, model.physics, weights)


def force_loss(model: SplittingJump, start: JumpBatch) -> Loss:
    """Mean square error of the learned force, relative (`relative_error`)."""
    with torch.autocast(start.x.device.type, enabled=False):
        molecules = model.molecules(start.species, start.masses, start.terms)
        error = relative_error(molecules, start.x, start.f)
    none = torch.zeros_like(error)
    return Loss(position=none, velocity=none, momentum=none, force=error, total=error)


def relative_error(
    molecules: SplittingMolecules, x: Float[Tensor, "B N 3"], f: Float[Tensor, "B N 3"]
) -> Float[Tensor, ""]:
    """Mean square error of the accelerations along the constraints, mass-weighted, relative.

    Always in float32: bfloat16 rounds bond vectors by more than the force may err.

    Args:
        molecules: that the states are of, or one molecule that all of them are of.
        x: nm.
        f: true forces, kJ/mol/nm.
    """
    tangent, mobility = molecules.rigid.at(x), molecules.mobility
    root = torch.where(mobility > 0, mobility, 1.0).rsqrt()
    truth = root * tangent.project(mobility * f)
    learned = root * tangent.project(mobility * molecules.force(x))
    return (learned - truth).square().sum() / truth.square().sum()


def jump_loss(
    prediction: JumpPrediction, batch: WindowBatch, physics: JumpPhysics, weights: TrainConfig
) -> Loss:
    """Compare a prediction with the truth, mass-weighted and per component."""
    scales, tau = physics.scales, physics.duration
    masses = batch.start.masses[..., None]
    components = 3.0 * batch.start.mask.sum()
    position = (masses * (prediction.dx - batch.dx).square()).sum()
    position = position / (components * (tau * scales.position_residual) ** 2)
    velocity = (masses * (prediction.dv - batch.dv).square()).sum()
    velocity = velocity / (components * scales.velocity_residual**2)
    momentum = prediction.imbalance.square().mean()
    force = torch.zeros_like(position)
    if prediction.force is not None:
        error = (prediction.force - batch.force).square() / masses.clamp_min(1e-6)
        force = (error * batch.start.mask[..., None]).sum()
        force = force * (tau / scales.force) ** 2 / components
    total = position + weights.lambda_vel * velocity + weights.lambda_com * momentum
    return Loss(position, velocity, momentum, force, total + weights.lambda_force * force)


def measure_scales(
    windows: JumpWindows, chosen: Int[Tensor, " W"], tau: float, predict_delta: bool
) -> Scales:
    """Root mean squares of inputs and targets over the chosen windows, forwards in time.

    One for what is zero everywhere, as the force of free particles.
    """
    x, v, f = windows.dx[0, chosen], windows.v[0, chosen], windows.f[0, chosen]
    dv = windows.dv[0, chosen]
    masses = windows.masses[windows.molecule[chosen]][..., None]
    root = masses.sqrt()
    inverse = torch.where(masses > 0, 1.0 / root.clamp_min(1e-6), 0.0)
    components = 3.0 * float((masses > 0).sum())

    def rms(values: Tensor) -> float:
        return float((values.double().square().sum() / components).sqrt()) or 1.0

    return Scales(
        velocity=rms(root * v),
        force=rms(tau * inverse * f),
        position_residual=rms(root * ((x - tau * v) if predict_delta else x) / tau),
        velocity_residual=rms(root * (dv if predict_delta else v + dv)),
    )


def measure_caps(
    windows: JumpWindows, chosen: Int[Tensor, " W"], config: ModelConfig
) -> dict[int, float]:
    """Atomic number → cap on |Δx|, nm, for the elements of the chosen windows."""
    lengths = windows.dx[:, chosen].norm(dim=-1)
    species = windows.species[windows.molecule[chosen]].expand_as(lengths)
    caps = {}
    for number in sorted(set(species.flatten().tolist()) - {0}):
        seen = lengths[species == number].sort().values
        high = float(seen[int(CAP_QUANTILE * (len(seen) - 1))])
        automatic = config.max_disp_nm == "auto"
        caps[number] = CAP_MARGIN * high if automatic else float(config.max_disp_nm)
    return caps


def clipped_share(windows: JumpWindows, chosen: Int[Tensor, " W"], physics: JumpPhysics) -> float:
    """Share of the targets that lie beyond the cap, where no prediction can follow."""
    lengths = windows.dx[0, chosen].norm(dim=-1)
    species = windows.species[windows.molecule[chosen]]
    caps = torch.full((int(species.max()) + 1,), torch.inf)
    for number, cap in physics.caps_nm.items():
        if number < len(caps):
            caps[number] = cap
    present = species > 0
    return float((lengths > caps[species])[present].double().mean())
