"""The command line that the benchmarks share: config files, and settings given one by one."""

import argparse
from pathlib import Path


def command(documentation: str) -> argparse.ArgumentParser:
    """A parser of `--config FILE ... section.key=value ...`; more is added by the benchmark.

    Args:
        documentation: of the benchmark, whose first line says what it does.
    """
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--config", type=Path, action="append", default=[])
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    return parser
