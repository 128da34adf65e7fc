"""The README's first example, as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_first_example_gives_an_exact_ensemble(capsys: pytest.CaptureFixture[str]) -> None:
    """Ethanol under GFN2-xTB: some half a minute of one core."""
    pytest.importorskip("tblite")
    example = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    names: dict[str, object] = {}
    exec(example.group(1), names)
    run = names["run"]
    assert run.true_calls == 4 * 251
    assert run.acceptance > 0.8
    assert run.surrogate_quality.spread < 0.4
    said = capsys.readouterr().out
    assert said.startswith(("exact by construction and converged", "not shown"))
    assert max(one.r_hat for one in run.convergence.observables.values()) < 1.05
