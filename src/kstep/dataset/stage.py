"""The stage: trajectories with bursts in, datasets and splits out."""

from collections.abc import Sequence
from pathlib import Path

from kstep.artifacts import Record, hash_config, hash_file
from kstep.config import Config, DatasetConfig
from kstep.dataset.bursts import Source, survey
from kstep.dataset.splits import make_splits
from kstep.dataset.windows import SCHEMA, SCHEMA_VERSION, cut_windows, load_dataset
from kstep.errors import ArtifactError
from kstep.progress import progress


def run(config: Config, trajectories: Sequence[Path]) -> list[Path]:
    """Cut the windows of every k in `config.dataset.k_steps` and split them.

    Returns the datasets `<paths.data>/datasets/dataset_k{K}.npz`; the splits go to
    `<paths.data>/splits/{train,val,test}.json` and hold for every k. A dataset that was cut
    from the same trajectories with the same settings is kept.

    Raises ArtifactError when a trajectory is missing, foreign, without bursts or does not fit
    the others or a k, ConfigError when the shares leave nothing to train on.
    """
    if not trajectories:
        raise ArtifactError("there are no trajectories to cut windows from: run `kstep md` first.")
    sources = sorted((survey(path) for path in trajectories), key=lambda source: source.molecule)
    _check_agreement(sources)
    strides = sorted(set(config.dataset.k_steps))
    for k_steps in strides:
        _check_length(sources, k_steps)
    provenance: Record = {"source_hashes": {source.molecule: source.hash for source in sources}}
    splits = make_splits(sources, config.dataset, provenance)

    folder = config.paths.data
    paths = {k: folder / "datasets" / f"dataset_k{k}.npz" for k in strides}
    with progress("dataset", len(strides) * len(sources), "molecules") as bar:
        for k_steps, path in paths.items():
            record = _record(sources, k_steps, config.dataset)
            if _is_current(path, record):
                bar.update(len(sources))
            else:
                cut_windows(sources, k_steps, record, lambda: bar.update(1)).save(path)
    provenance["seed"] = config.dataset.seed
    provenance["config_hash"] = hash_config(config.dataset)
    provenance["dataset_hashes"] = {path.name: hash_file(path) for path in paths.values()}
    for split in splits:
        split.save(folder / "splits" / f"{split.name}.json")
    return list(paths.values())
