"""Machine code is kept for the next process: the right code, in a place of kstep's own."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kstep.compiled.cache as code_cache

PACKAGE = Path(code_cache.__file__).parents[1]

HEAD = "from kstep.compiled.machine import compiled\n"
COMPILES = (
    HEAD
    + """
from kstep.compiled.rigid import CONVERGED

@compiled
def constants():
    return CONVERGED, 1.0

print(constants())
"""
)
OF_ALL_ROOMS = (
    HEAD
    + """
from kstep.compiled.rigid import CONVERGED
from kstep.surrogates.force_field_like.strain import SHARE
from kstep.units import BOLTZMANN

@compiled
def constants():
    return CONVERGED, SHARE, BOLTZMANN

print(constants())
"""
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(COMPILES)
    return path


def environment(cache: Path, sources: Path = PACKAGE.parent, **others: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(sources), "KSTEP_CACHE": str(cache), **others}


def start(program: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, str(program)]
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def end(process: subprocess.Popen[str]) -> tuple[tuple[float, ...], bool]:
    """What the program prints, and whether it says that it compiles."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert err.count("compiling machine code") <= 1
    return ast.literal_eval(out), "compiling machine code" in err


def test_a_changed_constant_gives_new_code(tmp_path: Path, program: Path) -> None:
    """Wherever it is written: beside the function, in another room, in the file of the caller."""
    copy, cache = tmp_path / "src", tmp_path / "cache"
    program.write_text(OF_ALL_ROOMS)
    shutil.copytree(PACKAGE, copy / "kstep", ignore=shutil.ignore_patterns("weights", "*.pyc"))

    def run() -> tuple[tuple[float, ...], bool]:
        return end(start(program, environment(cache, copy)))

    before = [1e-13, 0.3, 8.31446261815324e-3]
    assert run() == (tuple(before), True)
    for place, (source, line) in enumerate(
        (
            ("compiled/rigid.py", "CONVERGED = "),
            ("surrogates/force_field_like/strain.py", "SHARE = "),
            ("units.py", "BOLTZMANN: Final = "),
        )
    ):
        text = (copy / "kstep" / source).read_text()
        (copy / "kstep" / source).write_text(text.replace(line, f"{line} 2.0 * "))
        before[place] *= 2.0
        assert run() == (tuple(before), True)
    program.write_text(OF_ALL_ROOMS.replace("return CONVERGED, SHARE", "return SHARE, CONVERGED"))
    assert run() == ((before[1], before[0], before[2]), True)


def test_constants_of_compiled_modules_are_written_where_the_cache_looks() -> None:
    known = {path for place in code_cache._FROZEN for path in code_cache._files(PACKAGE / place)}
    for module in PACKAGE.rglob("*.py"):
        text = module.read_text()
        if "from kstep.compiled.machine import" in text:
            assert {module, *homes_of_constants(ast.parse(text))} <= known


def homes_of_constants(module: ast.Module) -> Iterator[Path]:
    """The files of kstep that a module imports names in capitals from."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and any(name.name.isupper() for name in node.names):
            where = str(node.module).split(".")
            if where[0] == "kstep":
                yield PACKAGE.parent.joinpath(*where).with_suffix(".py")


def test_processes_that_compile_at_once_do_not_disturb_each_other(
    tmp_path: Path, program: Path
) -> None:
    cache = tmp_path / "cache"
    together = [start(program, environment(cache)) for _ in range(3)]
    found = [numbers for numbers, _ in map(end, together)]
    later, compiles = end(start(program, environment(cache)))
    assert len({later, *found}) == 1
    assert not compiles
    (kept,) = cache.iterdir()  # no temporary file is left
    assert kept.name.startswith("__main__.constants-")


def test_broken_code_is_compiled_again(tmp_path: Path, program: Path) -> None:
    cache = tmp_path / "cache"
    right, _ = end(start(program, environment(cache)))
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:-1] + b"?"):
        kept.write_bytes(broken)
        assert end(start(program, environment(cache))) == (right, True)
        assert end(start(program, environment(cache))) == (right, False)


def test_where_nothing_can_be_written_a_temporary_folder_serves(
    tmp_path: Path, program: Path
) -> None:
    nowhere, temporary = Path(os.devnull) / "home", tmp_path / "tmp"
    temporary.mkdir()
    places = environment(nowhere, HOME=str(nowhere), TMPDIR=str(temporary))
    _, first_compiles = end(start(program, places))
    _, second_compiles = end(start(program, {**places, "KSTEP_CACHE": ""}))
    assert (first_compiles, second_compiles) == (True, False)
    (own,) = temporary.iterdir()
    assert own.stat().st_mode & 0o077 == 0


def test_code_that_others_could_write_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("KSTEP_CACHE", str(tmp_path / "cache"))
    own = tmp_path / f"md-kstep-{os.getuid()}"
    assert list(code_cache._folders()) == [tmp_path / "cache", own]
    own.chmod(0o777)
    assert list(code_cache._folders()) == [tmp_path / "cache"]


def test_the_users_own_settings_of_numba_stay(tmp_path: Path) -> None:
    """And nothing is written into the package."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, numba\n"
        "def settings():\n"
        "    return {k: repr(v) for k, v in vars(numba.config).items() if k.isupper()}\n"
        "before, variables = settings(), dict(os.environ)\n"
        "import kstep.surrogates.force_field_like.kernel.jump\n"
        "print((settings() == before, dict(os.environ) == variables))\n"
    )
    mine = environment(tmp_path / "cache", NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert end(start(program, mine)) == ((True, True), False)
    assert not (tmp_path / "mine").exists()
