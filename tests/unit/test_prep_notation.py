"""One molecule has one notation, however it was written."""

import numpy as np
import openmm
import pytest
from rdkit import Chem

from kstep.config import PrepConfig, load_config
from kstep.system.force_field import terms_of
from kstep.system.preparation.chemistry import parse, remarks_on
from kstep.system.preparation.conformers import embed
from kstep.system.preparation.notation import identity
from kstep.system.preparation.parameters import parametrise
from kstep.workflow import prep

PAIRS = [
    ("C[S+2](C)([O-])[O-]", "CS(C)(=O)=O"),
    ("C[S+](C)[O-]", "CS(C)=O"),
    ("CC[S@+](C)[O-]", "CC[S@](C)=O"),
    ("C[S+2](C)([O-])[NH-]", "CS(C)(=N)=O"),
    ("C[P+](C)(C)[O-]", "CP(C)(C)=O"),
    ("CO[P+](C)([S-])OC", "COP(C)(=S)OC"),
    ("C[P+](C)(C)[CH2-]", "C=P(C)(C)C"),
    ("C[N-][N+]#N", "CN=[N+]=[N-]"),
    ("CN=N#N", "CN=[N+]=[N-]"),
    ("[CH2-][N+]#N", "C=[N+]=[N-]"),
    ("CN(=O)=O", "C[N+](=O)[O-]"),
    ("C[NH+]=C(C)[O-]", "CNC(C)=O"),
]


@pytest.mark.parametrize(("other", "usual"), PAIRS)
def test_other_notations_become_the_usual_one(other: str, usual: str) -> None:
    assert Chem.MolToSmiles(parse(other, 10)) == Chem.CanonSmiles(usual)
    assert remarks_on(parse(usual, 10), usual) == []


def test_what_was_written_is_said() -> None:
    (remark,) = remarks_on(parse("C[S+](C)[O-]", 10), "C[S+](C)[O-]")
    assert remark.startswith("taken as CS(C)=O: the same molecule as C[S+](C)[O-]")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C[NH+]=C(N)N", "CNC(N)=[NH2+]"),
        ("CC([O-])=CC=O", "CC(=O)C=C[O-]"),
        ("Cn1cc[nH+]c1", "C[n+]1cc[nH]c1"),
        ("CC(=O)[O-]", "CC([O-])=O"),
    ],
)
def test_resonance_forms_are_one_molecule(one: str, other: str) -> None:
    assert identity(Chem.MolFromSmiles(one)) == identity(Chem.MolFromSmiles(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CC(=O)C", "CC(O)=C"),  # tautomers
        ("NCC(=O)O", "[NH3+]CC(=O)[O-]"),
        ("CC(=O)[O-]", "CC(=O)O"),
        (r"C/C([O-])=C/C=O", r"C/C([O-])=C\C=O"),
        ("C[C@H](N)C(=O)[O-]", "C[C@@H](N)C(=O)[O-]"),
    ],
)
def test_what_is_another_molecule_stays_one(one: str, other: str) -> None:
    assert identity(Chem.MolFromSmiles(one)) != identity(Chem.MolFromSmiles(other))


def test_parameters_do_not_depend_on_the_notation() -> None:
    """Written with charges, a sulfone had O-S-O at 107 degrees in place of 120, say."""
    found = []
    for smiles in ("CS(=O)(=O)C", "C[S+2]([O-])([O-])C"):
        system = parametrise(embed(parse(smiles, 10), 42).mol, PrepConfig())
        terms = terms_of(openmm.XmlSerializer.serialize(system.system))
        angles = dict(zip(map(tuple, terms.angles.tolist()), terms.angle_constants, strict=True))
        assert np.degrees(angles[2, 1, 3][1]) > 120
        found.append(system.charges)
    np.testing.assert_allclose(*found, atol=1e-5)


def test_two_notations_in_one_list_are_a_duplicate(tmp_path) -> None:
    listed = tmp_path / "list.smi"
    listed.write_text("CS(=O)C dmso\nC[S+]([O-])C other\nC[NH+]=C(N)N a\nCNC(N)=[NH2+] b\n")
    result = prep.run(load_config([], [f"paths.data={tmp_path}"]), listed)
    assert [molecule.name for molecule in result.molecules] == ["dmso", "a"]
    assert [molecule.charge for molecule in result.molecules] == [0, 1]
    reasons = [failure.reason for failure in result.failures]
    assert "is the molecule of line 1 again" in reasons[0]
    assert "is the molecule of line 3 again" in reasons[1]
