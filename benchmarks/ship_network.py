"""Put a trained transferable network, with its card, among those that come with kstep.

    python benchmarks/ship_network.py --config configs/large paths.data=... paths.run=... \
        train.k_steps=8 --command "kstep train --config configs/large ..."

Reads paths.run/train (best.ckpt, record.json), the dataset and the splits it was trained with, and
writes src/kstep/surrogates/weights/propagator_k{K}.ckpt (or splitting.ckpt) and .md.
"""

from pathlib import Path

import numpy as np
from command import command

from kstep.artifacts import hash_file, read_json, write_text
from kstep.config import load_config
from kstep.regressed.networks.checkpoint import load_jump, save_jump
from kstep.regressed.training.data import TrainingData, environments_of, read_data
from kstep.surrogates.shipped import weights_file
from kstep.system.environments import familiar_share

TITLES = {
    "propagator": (
        "# propagator, k = {k}",
        "Jumps {k} base steps of 2 fs (landing on the half step)",
    ),
    "splitting": (
        "# splitting, every k",
        "The force of the learned kicks in jumps of any number and length of base steps, "
        "reversible, volume-preserving and symplectic whatever it is worth,",
    ),
}
FAILURES = {
    "propagator": "A regressed map: in NVE its energy drifts and modes heat unequally. Use it with "
    "a thermostat and the guard.",
    "splitting": "In NVT it samples a potential between the true and the learned one "
    "(`hybrid.impulse`); `hybrid.ensemble=ghmc` samples the true one.",
}
WORST = 10
KEPT = ("config_hash", "dataset_hash", "start_hash", "split_hashes", "config", "seed", "versions")


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("--command", required=True, help="with which it was trained")
    options = parser.parse_args()
    config = load_config(options.config, options.overrides)
    k_steps, folder = config.train.k_steps, config.paths.run / "train"
    data = read_data(
        config,
        config.paths.data / "datasets" / f"dataset_k{k_steps}.npz",
        config.paths.data / "splits",
    )
    loaded, record = load_jump(folder / "best.ckpt"), read_json(folder / "record.json")
    # Which molecules it was trained on says the record; names and fingerprints of one's own
    # molecules must not collide with them.
    physics = loaded.physics.model_copy(update={"fingerprints": {}})
    loaded.model.physics = physics
    target = weights_file(config.model.arch, k_steps)
    target.parent.mkdir(exist_ok=True)
    save_jump(target, loaded.model, {key: record[key] for key in KEPT})
    text = card(options.command, record, data, target, k_steps)
    write_text(target.with_suffix(".md"), text)
    print(text)


def card(command: str, record: dict, data: TrainingData, path: Path, k_steps: int) -> str:
    """The model card."""
    scores, dataset = record["scores"], data.dataset
    trained = [dataset.molecules[row] for row in data.windows.rows(data.train)]
    physics, train = record["physics"], record["config"]["train"]
    arch = record["config"]["model"]["arch"]
    title, what = TITLES[arch]
    lines = [
        title.format(k=k_steps),
        "",
        f"{what.format(k=k_steps)} of small neutral molecules "
        f"over {', '.join(_elements(scores))} in OBC2 water, OpenFF 2.2.1, hydrogens constrained. "
        f"{record['n_parameters']:,} parameters, {path.stat().st_size / 1e6:.1f} MB.",
        "",
        f"- Trained on {len(data.train):,} windows of {len(trained)} molecules "
        f"(`data/molecules_large.smi` without those held out), at "
        f"{' and '.join(f'{t:g}' for t in physics['temperatures_K'])} K; "
        f"{record['steps']:,} steps of {train['batch_size'] * train['grad_accum']} windows.",
        f"- Command: `{command}`",
        f"- Started from: {record['start_hash'] or 'fresh weights'}; seed {record['seed']}.",
        f"- Hashes: checkpoint {hash_file(path)}, dataset {record['dataset_hash']}, "
        f"settings {record['config_hash']}.",
        "",
        f"Relative RMS error of what a jump of {k_steps} base steps adds to free flight (Δx) and "
        "of the change of velocity (Δv):",
        "",
        "| held-out windows | Δx | Δv |",
        "|---|---|---|",
    ]
    names = {"test_seen": "molecules of the training, other stretches of time",
             "test_unseen": "molecules never seen"}  # fmt: skip
    for key, words in names.items():
        if key in scores:
            lines.append(f"| {words} | {_errors(scores[key])} |")
    unseen = scores.get("test_unseen", scores["val_unseen"])
    lines += ["", "By element, molecules never seen:", "", "| element | Δx | Δv |", "|---|---|---|"]
    lines += [f"| {name} | {_errors(error)} |" for name, error in unseen["by_element"].items()]
    lines += _by_familiarity(unseen["by_molecule"], set(physics["environments"]), data)
    worst = sorted(unseen["by_molecule"].items(), key=lambda item: -item[1]["rel_dv"])[:WORST]
    names_of_worst = ", ".join(f"{name} {error['rel_dv']:.1%}" for name, error in worst)
    lines += ["", f"The worst of the molecules never seen: {names_of_worst}."]
    lines += [
        "",
        "## Known failures",
        f"- {FAILURES[arch]}",
        "- Other elements, charges, solvents, time steps and masses are refused; radicals and ions "
        "were never seen.",
        "- Molecules of other force fields than OpenFF 2.2.1: nothing is known.",
        "",
    ]
    return "\n".join(lines)


def _by_familiarity(errors: dict, known: set[str], data: TrainingData) -> list[str]:
    """Errors of molecules never seen, in three groups of nearness to the training set."""
    dataset = data.dataset
    rows = {name: dataset.molecules.index(name) for name in errors}
    shares = {
        name: familiar_share(environments_of(dataset, row), known) for name, row in rows.items()
    }
    order = sorted(shares, key=lambda name: shares[name])
    lines = ["", "By nearness to the training set (share of heavy atoms whose neighbours, and "
             "theirs, were seen together):", "", "| share | molecules | Δv, median | Δv, worst |",
             "|---|---|---|---|"]  # fmt: skip
    for group in np.array_split(np.array(order), 3):
        values = np.array([errors[name]["rel_dv"] for name in group])
        low, high = shares[group[0]], shares[group[-1]]
        lines.append(
            f"| {low:.0%} to {high:.0%} | {len(group)} | {np.median(values):.1%} | "
            f"{values.max():.1%} |"
        )
    return lines


def _elements(scores: dict) -> list[str]:
    return list(scores["test_seen"]["by_element"])


def _errors(error: dict) -> str:
    return f"{error['rel_dx']:.2%} | {error['rel_dv']:.2%}"


if __name__ == "__main__":
    main()
