"""What each part of the jump is worth: trainings that differ in one thing, at equal time.

    python benchmarks/ablations.py paths.data=data paths.run=runs/ablations train.max_minutes=4

Needs `kstep prep`, `md` and `dataset` (dataset.k_steps=[8,16]). Every variant is trained on the
same windows with the same seed for `train.max_minutes` on one thread, one after the other, on an
otherwise idle machine, and scored on held-out windows of seen molecules and on molecules never
seen. Finished trainings are not repeated. The table goes to standard output; with `--write` to
docs/ablations.md.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kstep import train
from kstep.artifacts import read_json, read_npz, write_npz, write_text
from kstep.config import Config, load_config
from kstep.dataset.windows import SCHEMA, SCHEMA_VERSION
from kstep.force_field import TERM_ARRAYS

Arrays = dict[str, np.ndarray]
DOCUMENT = Path("docs/ablations.md")


@dataclass(frozen=True)
class Variant:
    """A training that differs from the reference.

    Attributes:
        words: in what.
        settings: of section model or train, by name.
        erase: takes something away from the data.
        start_from: name of the variant whose network it goes on from.
    """

    words: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    erase: Callable[[Arrays], None] | None = None
    start_from: str | None = None


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


ET = {"arch": "torchmdnet_et", "hidden_channels": 128, "num_layers": 4, "vec_channels": 16,
      "optimiser": "adamw", "lr": 1e-3, "batch_size": 16}  # fmt: skip
VARIANTS = {
    "reference": Variant("the defaults"),
    "no-forces": Variant("forces are no input", erase=without_forces),
    "no-terms": Variant("pairs only: no internal coordinates, no charges", erase=without_terms),
    "no-constants": Variant("internal coordinates without constants", erase=without_constants),
    "no-reversal": Variant("no time-reversed windows", {"time_reversal": False}),
    "adamw": Variant("AdamW instead of Muon", {"optimiser": "adamw"}),
    "geometry-1": Variant("operators at the start only", {"num_geometries": 1}),
    "geometry-2": Variant("operators at two points", {"num_geometries": 2}),
    "layers-5": Variant("5 layers", {"num_layers": 5}),
    "layers-12": Variant("12 layers", {"num_layers": 12}),
    "channels-16": Variant("16 vector channels", {"vec_channels": 16}),
    "channels-64": Variant("64 vector channels", {"vec_channels": 64}),
    "operators-4": Variant("4 operators", {"num_operators": 4}),
    "noise": Variant("starts displaced by 0.5 pm", {"input_noise": 5e-4}),
    "force-head": Variant(
        "forces after the jump learned too", {"use_force_head": True, "lambda_force": 0.1}
    ),
    "et": Variant("torchmdnet_et", ET),
    "k16": Variant("k = 16", {"k_steps": 16}),
    "k16-from-k8": Variant("k = 16, from the reference", {"k_steps": 16}, start_from="reference"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, action="append", default=[])
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    config = load_config(options.config, ["train.threads=1", *options.overrides])
    rows = [_row(name, _train(name, config)) for name in options.only or VARIANTS]
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
        write_text(DOCUMENT, _document(config, table))


def _train(name: str, config: Config) -> dict[str, Any]:
    variant = VARIANTS[name]
    model = {k: v for k, v in variant.settings.items() if hasattr(config.model, k)}
    training = {k: v for k, v in variant.settings.items() if hasattr(config.train, k)}
    if variant.start_from is not None:
        start = config.paths.run / variant.start_from / "train" / "best.ckpt"
        training["start_from"] = start
    own = config.model_copy(
        update={
            "paths": config.paths.model_copy(update={"run": config.paths.run / name}),
            "model": config.model.model_copy(update=model),
            "train": config.train.model_copy(update=training),
        }
    )
    dataset = config.paths.data / "datasets" / f"dataset_k{own.train.k_steps}.npz"
    if variant.erase is not None:
        dataset = _erased(variant.erase, dataset, config.paths.run / name)
    train.run(own, dataset, config.paths.data / "splits")
    return read_json(own.paths.run / "train" / "record.json")


def _erased(erase: Callable[[Arrays], None], dataset: Path, folder: Path) -> Path:
    target = folder / dataset.name
    if not target.exists():
        arrays, record = read_npz(dataset, SCHEMA, SCHEMA_VERSION, ())
        erase(arrays)
        write_npz(target, arrays, record)
    return target


def _row(name: str, record: dict[str, Any]) -> str:
    cells = [VARIANTS[name].words, f"{record['n_parameters']:,}", f"{record['steps']:,}"]
    for kind in ("test_seen", "test_unseen"):
        error = record["scores"].get(kind, {"rel_dx": np.nan, "rel_dv": np.nan})
        cells += [f"{error['rel_dx']:.2%}", f"{error['rel_dv']:.2%}"]
    return f"| {' | '.join(cells)} |"


def _document(config: Config, table: str) -> str:
    return (
        "# Ablations\n\n"
        "Relative RMS errors of what a jump adds to free flight (Δx) and of Δv, k = 8 where not "
        f"said, {config.train.max_minutes:g} minutes of one thread each. Made by "
        "`python benchmarks/ablations.py --write`, whose docstring says how.\n\n"
        f"{table}"
    )


if __name__ == "__main__":
    main()
