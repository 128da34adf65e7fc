r"""What expensive force calls buy: the error of an adaptation against the number of its labels.

    python benchmarks/labels.py --molecule aspirin --write docs/expensive_results.md \
        --plot docs/images/labels.png paths.data=expensive potential.name=gfn2-xtb \
        model.strains=true adapt.max_minutes=2 hybrid.temperature_K=300

Adapts one prepared molecule four times: from the shipped network and from fresh weights, with
labels where the last two networks disagree most and with labels drawn at random. Errors are those
of `kstep adapt`'s record: of each round's network on the labels of the next, which it has not seen,
and in the end on the states of its trial. As each way labels other states, the final networks are
also held against the same independent states: `--test` true-force calls on geometries to which the
four final networks lead, in equal numbers. (After its first labels a network with fresh weights
knows no repulsion yet: where its force leads, atoms fall into each other, and its error there has
no bound.)
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from command import command
from document import put_section

from kstep.adaptation import forces
from kstep.adaptation.labels import no_labels, sensible
from kstep.artifacts import read_json
from kstep.config import Config, load_config
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.splitting import SplittingJump
from kstep.regressed.training.specialist import force_error
from kstep.system.molecule import Molecule
from kstep.system.prepared import prepared_molecules
from kstep.workflow import adapt
from kstep.workflow.networks import adaptation_folder

WAYS = {
    "shipped, in doubt": ("shipped", 4),
    "shipped, at random": ("shipped", 1),
    "fresh, in doubt": ("fresh", 4),
    "fresh, at random": ("fresh", 1),
}


def main() -> None:
    options = _arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        configs = {
            name: load_config(
                options.config,
                [
                    *options.overrides,
                    f"paths.run={scratch}/{number}",
                    f"adapt.start_from={start}",
                    f"adapt.candidates={candidates}",
                ],
            )
            for number, (name, (start, candidates)) in enumerate(WAYS.items())
        }
        anyone = next(iter(configs.values()))
        (molecule,) = (m for m in prepared_molecules(anyone) if m.name == options.molecule)
        networks = {name: _adapted(config, molecule) for name, config in configs.items()}
        records = {
            name: read_json(adaptation_folder(config, molecule) / "record.json")
            for name, config in configs.items()
        }
        none = no_labels(molecule.n_atoms)
        own = forces.Adaptation(anyone, molecule, none, {}, Path(scratch))
        geometries = np.concatenate(
            [own.explored(9, [n], options.test // len(WAYS)) for n in networks.values()]
        )
        test = sensible(own.made(9, geometries), molecule.name)
        errors = {name: force_error(n, own.tensors, test) for name, n in networks.items()}
    text = _table(molecule, records, errors)
    print(text)
    if options.write:
        put_section(options.write, f"Labels: {molecule.name}", text)
    if options.plot:
        _plot(records, options.plot)


def _adapted(config: Config, molecule: Molecule) -> SplittingJump:
    (path,) = adapt.run(config, [molecule])
    model = load_jump(path).model
    assert isinstance(model, SplittingJump)
    return model


def _table(molecule: Molecule, records: dict[str, dict], errors: dict[str, float]) -> str:
    counts = [entry["labels"] for entry in next(iter(records.values()))["rounds"]]
    lines = [
        "Relative error of the force, on states not learned from (`benchmarks/labels.py`).",
        "",
        "| start, labels | " + " | ".join(f"{n} labels" for n in counts) + " | same states |",
        "|---" * (len(counts) + 2) + "|",
    ]
    for name, record in records.items():
        found = " | ".join(f"{entry['force_error']:.1%}" for entry in record["rounds"])
        lines.append(f"| {name} | {found} | {errors[name]:.1%} |")
    return "\n".join([*lines, ""])


def _plot(records: dict[str, dict], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(5.0, 3.4), layout="constrained")
    for name, record in records.items():
        rounds = record["rounds"]
        axis.plot(
            [entry["labels"] for entry in rounds],
            [100.0 * entry["force_error"] for entry in rounds],
            marker="o",
            label=name,
        )
    axis.set(yscale="log", xlabel="expensive force calls", ylabel="force error, %")
    axis.set_ylim(top=200.0)  # a fresh network knows no repulsion, and errs by any amount
    axis.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _arguments() -> argparse.Namespace:
    parser = command(__doc__)
    parser.add_argument("--molecule", default="aspirin")
    parser.add_argument("--test", type=int, default=200, help="true-force calls of the comparison")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
