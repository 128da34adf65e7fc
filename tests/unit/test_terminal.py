"""Any terminal shows what kstep says, and no file is read or written in the machine's encoding."""

import ast
import io
import sys
from pathlib import Path

import pytest

import kstep
from kstep.referee.claims.summary import summary_table
from kstep.referee.metrics import load_metrics
from kstep.workflow.cli import main as command_line
from report_samples import write_sample

TEXT_CALLS = {"open", "read_text", "write_text"}


def without_encoding(tree):
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or any(k.arg == "encoding" for k in call.keywords):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        owner = getattr(getattr(call.func, "value", None), "id", "")
        ours = isinstance(call.func, ast.Name) and name == "write_text"  # kstep.artifacts
        binary = any(isinstance(a, ast.Constant) and "b" in str(a.value) for a in call.args)
        if name in TEXT_CALLS and not (ours or binary or owner in ("os", "self")):
            yield call.lineno


def test_every_text_file_is_utf_8_on_every_machine():
    sources = sorted(Path(kstep.__file__).parent.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sources}
    assert [(path.name, *without_encoding(tree)) for path, tree in trees.items() if any(
        without_encoding(tree))] == []  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_the_table_of_verdicts_survives_every_terminal(encoding, tmp_path, monkeypatch):
    _, path = write_sample(tmp_path)
    table = summary_table(load_metrics(path))
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding))
    monkeypatch.setattr(sys, "argv", ["kstep"])
    monkeypatch.setattr(command_line, "main", lambda _: print(f"{table}\n\udce9", flush=True))
    with pytest.raises(SystemExit):
        command_line.entry()
    lines = shown.getvalue().decode(encoding).splitlines()
    assert [len(line) for line in lines] == [*map(len, table.splitlines()), 1]  # columns hold
    assert lines[-1] == "?"  # of a file name that is not UTF-8
    assert "4.0x  0.12x" in "".join(lines) or encoding != "ascii"
