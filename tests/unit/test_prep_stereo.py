"""What SMILES leaves open beyond centres and double bonds is said."""

import pytest
from rdkit import Chem

from kstep.system.preparation.chemistry import parse, remarks_on
from kstep.system.preparation.stereo import open_axes


@pytest.mark.parametrize(
    ("smiles", "axes"),
    [
        ("CC=C=CC", ["C2-C4"]),
        ("CC=C=C=CC", ["C2-C5"]),  # flat, but as open
        ("CC(C)=C=CC", []),
        ("C=C=CC", []),
        ("O=C=O", []),
        ("Cc1ccccc1-c1ccccc1C", ["C7-C8"]),
        ("Oc1ccc2ccccc2c1-c1c(O)ccc2ccccc12", ["C11-C12"]),
        ("Cc1ccccc1-n1cc(C)c2ccccc12", ["C7-N8"]),
        ("Cc1ccccc1-c1ccccc1", []),  # turns
        ("Fc1ccccc1-c1ccccc1F", []),
        ("Cc1cccc(C)c1-c1ccccc1C", []),  # one ring is alike on both sides
        ("c1ccc(-c2ccccc2)cc1", []),
    ],
)
def test_open_axes(smiles: str, axes: list[str]) -> None:
    assert open_axes(Chem.MolFromSmiles(smiles)) == axes


def test_an_axis_that_the_seed_decides_is_said() -> None:
    (remark,) = remarks_on(parse("CC=C=CC", 10), "CC=C=CC")
    assert "the axis C2-C4" in remark
    assert "prep.seed decided" in remark
