"""Executes every array annotation of kstep, and shares prepared molecules and true dynamics."""

import os

# Before torch is imported: tests run side by side, each on one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook("kstep", "beartype.beartype")

import shutil  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from kstep.config import Config, load_config  # noqa: E402
from kstep.system.molecule import Molecule  # noqa: E402
from kstep.system.prepared import load_molecule, write_index  # noqa: E402

# Same examples on every run, and no time limit: CI machines are slow and shared.
settings.register_profile("kstep", deadline=None, derandomize=True)
settings.load_profile("kstep")

PREPARED = Path(__file__).parent / "data" / "raw"
"""Made by: kstep prep paths.data=tests/data prep.molecules=configs/quick/molecules.smi."""


@pytest.fixture(scope="session")
def phenol() -> Molecule:
    return load_molecule(PREPARED / "phenol")


@pytest.fixture(scope="session")
def isobutanol() -> Molecule:
    return load_molecule(PREPARED / "2-methylpropan-1-ol")


@pytest.fixture(scope="session")
def make_dynamics() -> Callable:
    """A `TrueDynamics` of a molecule at a base step, with a Context of its own."""
    from kstep.integrators.openmm_steps import recording_velocity_verlet
    from kstep.integrators.platforms import make_context
    from kstep.integrators.true_dynamics import TrueDynamics
    from kstep.potentials.systems import load_system

    def make(molecule: Molecule, dt_ps: float = 0.002) -> TrueDynamics:
        system = load_system(molecule, 1.0, "HBonds", "OBC2")
        context = make_context(system, recording_velocity_verlet(dt_ps), "Reference")
        return TrueDynamics(context, dt_ps, molecule.name)

    return make


@pytest.fixture
def counted(phenol: Molecule) -> tuple:
    """Phenol's `TrueDynamics`, and a list with the real number of its force evaluations."""
    import numpy as np
    import openmm

    from kstep.integrators.openmm_steps import recording_velocity_verlet
    from kstep.integrators.platforms import make_context
    from kstep.integrators.true_dynamics import TrueDynamics
    from kstep.potentials.systems import load_system

    evaluations = [0]

    def count(state: openmm.State) -> tuple[float, np.ndarray]:
        evaluations[0] += 1
        return 0.0, np.zeros((phenol.n_atoms, 3))

    system = load_system(phenol, 1.0, "HBonds", "OBC2")
    system.addForce(openmm.PythonForce(count))
    context = make_context(system, recording_velocity_verlet(0.002), "Reference")
    return TrueDynamics(context, 0.002, "phenol"), evaluations


@pytest.fixture(scope="session")
def make_sampler() -> Callable:
    """A `Sampler` of a molecule under a configuration, on the Reference platform."""
    from kstep.integrators.plain import Sampler
    from kstep.potentials.systems import load_system

    def make(molecule: Molecule, config: Config | None = None) -> Sampler:
        system = load_system(molecule, 1.0, "HBonds", "OBC2")
        md = (config or load_config()).md
        return Sampler(system, "Reference", md, molecule.name, lambda _: None)

    return make


@pytest.fixture(scope="session")
def equilibrium(phenol: Molecule, make_sampler: Callable) -> tuple:
    """(x, v) of phenol in equilibrium at 300 K."""
    return make_sampler(phenol).equilibrate(phenol.positions, 300.0, 1)


@pytest.fixture(scope="session")
def place(phenol: Molecule) -> Callable[[Path], Molecule]:
    """Puts prepared phenol, and nothing else, into a data folder."""

    def put(data: Path) -> Molecule:
        directory = shutil.copytree(phenol.directory, data / "raw" / "phenol")
        write_index(data / "raw", ["phenol"], [])
        return load_molecule(directory)

    return put
