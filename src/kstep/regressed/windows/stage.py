"""The stage: trajectories with bursts in, datasets and splits out."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from kstep import __version__
from kstep.artifacts import Record, hash_config
from kstep.config import Config, DatasetConfig
from kstep.errors import ArtifactError
from kstep.progress import progress
from kstep.regressed.windows.bursts import Source, survey
from kstep.regressed.windows.splits import make_splits
from kstep.regressed.windows.windows import SCHEMA, SCHEMA_VERSION, cut_windows, load_dataset


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
    splits = make_splits(sources, config.dataset)
    folder = config.paths.data
    paths = {k: folder / "datasets" / f"dataset_k{k}.npz" for k in strides}
    total = float(len(paths) * len(sources))
    with progress("dataset", total, "molecules") as bar:
        for k_steps, path in paths.items():
            record = _record(sources, k_steps)
            if _is_current(path, record):
                bar.update(len(sources))
            else:
                cut_windows(sources, k_steps, record, lambda: bar.update(1)).save(path)
    for split in splits:
        split.save(folder / "splits" / f"{split.name}.json")
    return list(paths.values())


def _check_agreement(sources: Sequence[Source]) -> None:
    for first, second in pairwise(sources):
        if first.molecule == second.molecule:
            raise ArtifactError(
                f"{first.path} and {second.path} are both of {first.molecule}: give each molecule "
                "once."
            )
        if first.dt_ps != second.dt_ps:
            raise ArtifactError(
                f"{second.path} has base steps of {second.dt_ps} ps, {first.path} of "
                f"{first.dt_ps} ps: delete one and run `kstep md` with one md.dt_fs."
            )
        if first.potential != second.potential:
            raise ArtifactError(
                f"{second.path} is of {second.potential}, {first.path} of {first.potential}: train "
                "on the molecules of one potential."
            )


def _check_length(sources: Sequence[Source], k_steps: int) -> None:
    for source in sources:
        if k_steps % source.stride:
            raise ArtifactError(
                f"{source.path} has burst states every {source.stride} steps, which does not "
                f"divide k = {k_steps}: take it out of dataset.k_steps, or delete the file and run "
                "`kstep md` with another md.burst.stride_steps."
            )
        if k_steps > source.length:
            raise ArtifactError(
                f"{source.path} has bursts of {source.length} steps, too short for "
                f"k = {k_steps}: take it out of dataset.k_steps, or delete the file and run "
                "`kstep md` with a larger md.burst.length_steps."
            )


def _record(sources: Sequence[Source], k_steps: int) -> Record:
    """What a dataset says of itself: of the windows of one k, whatever others are built."""
    # Shares and seed stay at their defaults: they shape the splits, not the windows.
    settings = DatasetConfig().model_copy(update={"k_steps": [k_steps]})
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "k_steps": k_steps,
        "dt_ps": sources[0].dt_ps,
        "molecules": [source.molecule for source in sources],
        "potential": sources[0].potential,
        "fingerprints": {source.molecule: source.fingerprint for source in sources},
        "temperatures_K": {source.molecule: list(source.temperatures) for source in sources},
        "source_hashes": {source.molecule: source.hash for source in sources},
        "config_hash": hash_config(settings),
        "versions": {"kstep": __version__},
    }


def _is_current(path: Path, record: Record) -> bool:
    try:
        return load_dataset(path).record == record
    except ArtifactError:  # absent, cut short, or of an older kstep
        return False
