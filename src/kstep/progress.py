"""Progress of long work on standard error, with rate and time left (tqdm)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from tqdm import tqdm


@contextmanager
def progress(label: str, total: float, unit: str, done: float = 0.0) -> Iterator["tqdm[Never]"]:
    """A bar from `done` to `total`; call `.update(amount)` on it as the work proceeds.

    Written to standard error, every ten seconds where that is not a terminal.
    """
    interactive = sys.stderr.isatty()
    with tqdm(
        desc=label,
        total=total,
        initial=done,
        unit=unit,
        file=sys.stderr,
        dynamic_ncols=interactive,
        mininterval=0.2 if interactive else 10.0,
        bar_format="{desc}: {percentage:3.0f}% |{bar:20}| {n:.4g}/{total:.4g} {unit} "
        "[{elapsed}<{remaining}, {rate_fmt}{postfix}]",
    ) as bar:
        yield bar
