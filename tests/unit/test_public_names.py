"""`import kstep` costs nothing and changes nothing; its names are there when they are asked for."""

import subprocess
import sys
from ast import literal_eval

import pytest

import kstep

HEAVY = ("torch", "openmm", "numba", "numpy", "pandas", "pydantic", "rdkit", "openff", "mdtraj")


def of_a_new_process(program: str) -> object:
    """What a Python process prints, read as a literal."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return literal_eval(done.stdout)


def test_importing_kstep_imports_no_library() -> None:
    program = "import sys, kstep; print([m for m in sys.modules if m.startswith('kstep')])"
    assert of_a_new_process(program) == ["kstep"]
    program = f"import sys, kstep; print([m for m in {HEAVY} if m in sys.modules])"
    assert of_a_new_process(program) == []


def test_importing_it_takes_less_than_a_third_of_a_second() -> None:
    """In CPU seconds, which a busy machine does not change."""
    program = "import time; t = time.process_time(); import kstep; print(time.process_time() - t)"
    assert of_a_new_process(program) < 0.3


def test_molecules_and_protocols_need_neither_torch_nor_openmm() -> None:
    names = "Molecule, Trajectory, Potential, Surrogate, Labels, Evaluation"
    found = "[m for m in ('torch', 'openmm', 'numba', 'pandas') if m in sys.modules]"
    assert of_a_new_process(f"import sys; from kstep import {names}; print({found})") == []


@pytest.mark.parametrize("name", kstep.__all__)
def test_every_public_name_is_there_and_has_a_home(name: str) -> None:
    assert getattr(kstep, name) is getattr(kstep, name)
    assert name in dir(kstep)


def test_the_names_are_those_that_types_know() -> None:
    assert set(kstep.__all__) == {*kstep._HOMES, "__version__"}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Molecul'"):
        _ = kstep.Molecul
