"""What a true force by GFN-xTB costs with tblite's own linear algebra and with PyTorch's.

    python benchmarks/linear_algebra.py --config configs/xtb paths.data=...

Needs `kstep prep` of the same configs, and tblite and PyTorch from PyPI. A fresh process for each
of the two, in turns: the time of energy and forces at 100 geometries, each displaced from the
prepared one by 2 pm in every coordinate, with each SCF started from the nearest before. Prints the
medians over the rounds, the ratio's median and range, and the largest difference of a force.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
from command import command
from jaxtyping import Float

from kstep.config import load_config
from kstep.potentials import make_method
from kstep.system.prepared import load_molecule, load_molecules

ROUNDS = 5
GEOMETRIES = 100
DISPLACEMENT_NM = 2e-3


def main() -> None:
    options = command(__doc__).parse_args()
    config = load_config(options.config, options.overrides)
    print("molecule      own, ms   PyTorch's, ms   ratio (range)         largest difference")
    for molecule in load_molecules(config.paths.data / "raw"):
        own, shared, ratios, difference = compare(config.paths.data / "raw" / molecule.name)
        print(
            f"{molecule.name:12s} {own:8.2f} {shared:15.2f}   {np.median(ratios):.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f})      {difference:.0e} kJ/mol/nm",
            flush=True,
        )


def compare(directory: Path) -> tuple[float, float, list[float], float]:
    """Milliseconds with either, their ratio by round, largest difference of a force."""
    own, shared, difference = [], [], 0.0
    for _ in range(ROUNDS):
        (t_own, f_own), (t_shared, f_shared) = (_alone(directory, share) for share in (False, True))
        own.append(t_own)
        shared.append(t_shared)
        difference = max(difference, float(np.abs(f_own - f_shared).max()))
    ratios = [a / b for a, b in zip(own, shared, strict=True)]
    return float(np.median(own)), float(np.median(shared)), ratios, difference


def _alone(directory: Path, share: bool) -> tuple[float, Float[np.ndarray, "G N 3"]]:
    """`evaluate` in a process of its own, for what is loaded first stays."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(evaluate, directory, share).result()


def evaluate(directory: Path, share: bool) -> tuple[float, Float[np.ndarray, "G N 3"]]:
    """Milliseconds of a force, and the forces, kJ/mol/nm."""
    molecule = load_molecule(directory)
    x = molecule.positions
    if not share:
        patch("kstep.potentials.linear_algebra.mkl", lambda: None).start()
    potential = make_method(molecule.potential).of(molecule)
    potential.evaluate(x[None])
    rng = np.random.default_rng(1)
    places = x + rng.normal(scale=DISPLACEMENT_NM, size=(GEOMETRIES, *x.shape))
    start = perf_counter()
    forces = potential.evaluate(places).forces
    return (perf_counter() - start) / GEOMETRIES * 1e3, forces


if __name__ == "__main__":
    main()
