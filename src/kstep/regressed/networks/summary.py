"""A model as text: its parts and their sizes."""

from kstep.config import ModelConfig
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics, Scales

_DEPTH = 2
_PLACEHOLDER = JumpPhysics(
    k_steps=8,
    dt_ps=0.002,
    landing="half_step",
    scales=Scales(velocity=1.0, force=1.0, position_residual=1.0, velocity_residual=1.0),
    caps_nm={1: 0.1},
    masses_Da={1: (1.008,)},
    fingerprints={},
    temperatures_K=(),
)


def summarise(config: ModelConfig) -> str:
    """The model a configuration describes: parts, parameters, inputs and outputs."""
    return summarise_model(build_model(config, _PLACEHOLDER))


def summarise_model(model: JumpModel) -> str:
    """Parts of a model with their parameter counts, indented by depth."""
    config = model.config
    rows = [("part", "kind", "parameters")]
    for name, module in model.named_modules():
        depth = name.count(".")
        size = sum(parameter.numel() for parameter in module.parameters())
        if name and depth <= _DEPTH and size:
            label = "  " * depth + name.rpartition(".")[2]
            rows.append((label, type(module).__name__, f"{size:,}"))
    total = sum(parameter.numel() for parameter in model.parameters())
    outputs = "Δx, Δv and F" if config.use_force_head else "Δx and Δv"
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>11}" for a, b, c in rows]
    inside = f"cutoff {config.cutoff_nm:g} nm, {config.num_layers} layers"
    if config.arch == "splitting":
        inside = f"{config.kicks} kicks"
    return "\n".join(
        [
            f"{config.arch}: (species, masses, x, v, F) → {outputs}; {inside}",
            "",
            *lines,
            "",
            f"{total:,} parameters",
        ]
    )
