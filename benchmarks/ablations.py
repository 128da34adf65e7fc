r"""What each part of a jump is worth: trainings that differ in one thing, at equal time.

    python benchmarks/ablations.py --of splitting --write docs/ablations.md \
        --config configs/large paths.data=... paths.run=runs/ablations train.max_minutes=3

Needs `kstep prep`, `md` and `dataset` of the same configs. Every variant of an architecture is
trained on the same windows with the same seed for `train.max_minutes` on one thread, one after the
other, and scored on held-out windows of seen molecules and on molecules never seen. Finished
trainings are not repeated. The table goes to standard output, and with `--write FILE` to a section
of that file. `--only` names some of the variants, and `--section` what their table's title adds:

    awk '/^#/ || NR % 4 == 0' data/molecules_large.smi > quarter.smi
    ... --of propagator --only reference noise no-average k16 k16-from-k8 \
        --section "a quarter of the molecules" ... prep.molecules=quarter.smi
"""

import argparse
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from command import command
from document import put_section

from kstep.artifacts import read_json, read_npz, write_json, write_npz
from kstep.config import Config, load_config
from kstep.regressed import training as train
from kstep.regressed.windows.windows import SCHEMA, SCHEMA_VERSION
from kstep.system.force_field import TERM_ARRAYS

Arrays = dict[str, np.ndarray]
Bursts = dict[str, list[int]]


@dataclass(frozen=True)
class Variant:
    """A training that differs from the reference.

    Attributes:
        words: in what.
        settings: of section model or train, by name.
        erase: takes something away from the windows.
        keep: which of the bursts of a molecule are learned from, given the settings.
        start_from: name of the variant whose network it goes on from.
        averaged: whether a running average of the weights is kept, or the last ones.
    """

    words: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    erase: Callable[[Arrays], None] | None = None
    keep: Callable[[Bursts, Config], Bursts] | None = None
    start_from: str | None = None
    averaged: bool = True


def without_forces(arrays: Arrays) -> None:
    """No force at the start of a jump, in either direction of time."""
    for name in ("f_t", "f_tk", "rollout_f"):
        arrays[name] = np.zeros_like(arrays[name])


def without_terms(arrays: Arrays) -> None:
    """Nothing known of bonds, angles, torsions and charges."""
    for name in TERM_ARRAYS:
        arrays[name] = np.zeros_like(arrays[name])


def without_constants(arrays: Arrays) -> None:
    """Bonds, angles and torsions known, but not their stiffness, nor the charges."""
    arrays["bond_constants"][..., 0] = np.where(arrays["bond_constants"][..., 0] > 0, 3e5, 0.0)
    arrays["angle_constants"][..., 0] = 500.0
    arrays["torsion_constants"][..., :6] = 0.0
    arrays["nonbonded"][...] = 0.0


def without_charges(arrays: Arrays) -> None:
    """Bonded terms with their constants; neither charges nor van der Waals parameters."""
    arrays["nonbonded"][...] = 0.0


def at_first_temperature(bursts: Bursts, config: Config) -> Bursts:
    """The bursts of the first temperature, which come first."""
    count = config.md.burst.count
    return {name: [b for b in own if b < count] for name, own in bursts.items()}


def of_every_fourth_molecule(bursts: Bursts, config: Config) -> Bursts:
    """The bursts of a quarter of the molecules."""
    return {name: bursts[name] for name in sorted(bursts)[::4]}


def every_fourth_burst(bursts: Bursts, config: Config) -> Bursts:
    """A quarter of the bursts of every molecule."""
    return {name: own[::4] for name, own in bursts.items()}


SPLITTING = {
    "reference": Variant("the defaults"),
    "seed": Variant("another seed", {"seed": 43}),
    "direct": Variant("kicks are vectors, no gradient of a potential", {"kicks": "direct"}),
    "no-constants": Variant(
        "starts without the force field's stiffness and charges", erase=without_constants
    ),
    "no-charges": Variant(
        "starts without its charges and van der Waals parameters", erase=without_charges
    ),
    "strains": Variant("atoms feel the strains around them", {"strains": True}),
    "hidden-24": Variant("24 features an atom", {"hidden_channels": 24}),
    "hidden-96": Variant("96 features an atom", {"hidden_channels": 96}),
    "rbf-6": Variant("6 radial functions", {"rbf_size": 6}),
    "rbf-24": Variant("24 radial functions", {"rbf_size": 24}),
    "cold": Variant("300 K only, no hot starts", keep=at_first_temperature),
    "molecules": Variant("a quarter of the molecules", keep=of_every_fourth_molecule),
    "bursts": Variant("a quarter of the bursts of every molecule", keep=every_fourth_burst),
    "noise": Variant("starts displaced by 0.5 pm", {"input_noise": 5e-4}),
    "no-average": Variant("last weights, no running average", averaged=False),
    "adamw": Variant("AdamW, 0.001, instead of Muon", {"optimiser": "adamw", "lr": 1e-3}),
    "batch-64": Variant("batches of 64", {"batch_size": 64}),
}
ET = {"arch": "torchmdnet_et", "hidden_channels": 128, "num_layers": 4, "vec_channels": 16,
      "optimiser": "adamw", "lr": 1e-3, "batch_size": 16}  # fmt: skip
PROPAGATOR = {
    "reference": Variant("the defaults"),
    "no-forces": Variant("forces are no input", erase=without_forces),
    "no-terms": Variant("pairs only: no internal coordinates, no charges", erase=without_terms),
    "no-constants": Variant("internal coordinates without constants", erase=without_constants),
    "no-reversal": Variant("no time-reversed windows", {"time_reversal": False}),
    "cold": Variant("300 K only, no hot starts", keep=at_first_temperature),
    "adamw": Variant("AdamW instead of Muon", {"optimiser": "adamw"}),
    "geometry-1": Variant("operators at the start only", {"num_geometries": 1}),
    "geometry-2": Variant("operators at two points, not three", {"num_geometries": 2}),
    "layers-5": Variant("5 layers", {"num_layers": 5}),
    "channels-16": Variant("16 vector channels", {"vec_channels": 16}),
    "noise": Variant("starts displaced by 0.5 pm", {"input_noise": 5e-4}),
    "no-average": Variant("last weights, no running average", averaged=False),
    "force-head": Variant(
        "forces after the jump learned too", {"use_force_head": True, "lambda_force": 0.1}
    ),
    "et": Variant("torchmdnet_et", ET),
    "k16": Variant("k = 16", {"k_steps": 16}),
    "k16-from-k8": Variant("k = 16, from the reference", {"k_steps": 16}, start_from="reference"),
}
VARIANTS = {"splitting": SPLITTING, "propagator": PROPAGATOR}


def main() -> None:
    options = _arguments()
    configs = list(options.config)
    if options.of == "propagator":
        configs.append(Path("configs/propagator"))
    config = load_config(configs, ["train.threads=1", *options.overrides])
    run = config.paths.run / options.of
    config = config.model_copy(update={"paths": config.paths.model_copy(update={"run": run})})
    variants = VARIANTS[options.of]
    chosen = options.only or list(variants)
    # A process for each, so that the memory of one training is free for the next.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        records = {name: pool.submit(_train, name, variants[name], config) for name in chosen}
        rows = [_row(variants[name], record.result()) for name, record in records.items()]
    table = "\n".join(
        [
            "| variant | parameters | steps | seen: Δx | Δv | never seen: Δx | Δv |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    print(table)
    if options.write:
        title = ", ".join(filter(None, [f"`arch: {options.of}`", options.section]))
        put_section(options.write, title, f"{_what(config)}\n\n{table}")


def _arguments() -> argparse.Namespace:
    parser = command(__doc__)
    parser.add_argument("--of", choices=list(VARIANTS), required=True)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--section", default="")
    return parser.parse_args()


def _train(name: str, variant: Variant, config: Config) -> dict[str, Any]:
    model = {k: v for k, v in variant.settings.items() if hasattr(config.model, k)}
    training = {k: v for k, v in variant.settings.items() if hasattr(config.train, k)}
    if variant.start_from is not None:
        start = config.paths.run / variant.start_from / "train" / "best.ckpt"
        training["start_from"] = start
    folder = config.paths.run / name
    own = config.model_copy(
        update={
            "paths": config.paths.model_copy(update={"run": folder}),
            "model": config.model.model_copy(update=model),
            "train": config.train.model_copy(update=training),
        }
    )
    record = folder / "train" / "record.json"
    if not record.exists():
        dataset = config.paths.data / "datasets" / f"dataset_k{own.train.k_steps}.npz"
        splits = config.paths.data / "splits"
        if variant.erase is not None:
            dataset = _erased(variant.erase, dataset, folder)
        if variant.keep is not None:
            splits = _narrowed(variant.keep, splits, own)
        averaging = patch("kstep.surrogates.optimiser.AVERAGE_DECAY", 0.0)
        with nullcontext() if variant.averaged else averaging:
            train.run(own, dataset, splits)
        if variant.erase is not None:
            dataset.unlink()
    return read_json(record)


def _erased(erase: Callable[[Arrays], None], dataset: Path, folder: Path) -> Path:
    target = folder / dataset.name
    if not target.exists():
        arrays, record = read_npz(dataset, SCHEMA, SCHEMA_VERSION, ())
        erase(arrays)
        write_npz(target, arrays, record)
    return target


def _narrowed(keep: Callable[[Bursts, Config], Bursts], splits: Path, config: Config) -> Path:
    """Splits whose training part has fewer bursts; what is held out stays."""
    target = config.paths.run / "splits"
    for path in splits.glob("*.json"):
        content = read_json(path)
        if path.stem == "train":
            content["seen_molecules"] = keep(content["seen_molecules"], config)
        write_json(target / path.name, content)
    return target


def _row(variant: Variant, record: dict[str, Any]) -> str:
    cells = [variant.words, f"{record['n_parameters']:,}", f"{record['steps']:,}"]
    for kind in ("test_seen", "test_unseen"):
        error = record["scores"].get(kind, {"rel_dx": np.nan, "rel_dv": np.nan})
        cells += [f"{error['rel_dx']:.2%}", f"{error['rel_dv']:.2%}"]
    return f"| {' | '.join(cells)} |"


def _what(config: Config) -> str:
    return (
        "Relative RMS errors of what a jump adds to free flight (Δx) and of Δv, "
        f"k = {config.train.k_steps} where not said, {config.train.max_minutes:g} minutes of one "
        "thread each."
    )


if __name__ == "__main__":
    main()
