"""Progress of long work on standard error, with rate and time left (tqdm)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


class Bar(tqdm):  # type: ignore[type-arg] # at run time it takes no type
    """A bar whose clock starts with the first work done.

    What comes before (imports, compiling, the choice of a platform) is no measure of the rest.
    """

    _begun = False

    def update(self, n: float | int | None = 1) -> bool | None:
        """Advance by some work; the first of it starts the clock."""
        if self._begun or self.disable:
            return super().update(n)
        self._begun = True
        self.n += n or 0
        self.initial = self.last_print_n = self.n
        self.start_t = self.last_print_t = self._time()  # type: ignore[attr-defined]
        self.refresh()
        return True

    @property
    def speed(self) -> float | None:
        """Work done in a second since the clock started, once there is some."""
        elapsed: float = self.format_dict["elapsed"]
        return (self.n - self.initial) / elapsed if self.n > self.initial and elapsed else None


@contextmanager
def progress(
    label: str, total: float, unit: str, done: float = 0.0, disable: bool = False
) -> Iterator[Bar]:
    """A bar from `done` to `total`; call `.update(amount)` on it as the work proceeds.

    Written to standard error, every ten seconds where that is not a terminal; nowhere if disabled.
    """
    interactive = sys.stderr.isatty()
    with Bar(
        desc=label,
        total=total,
        initial=done,
        unit=unit,
        disable=disable,
        file=sys.stderr,
        dynamic_ncols=interactive,
        mininterval=0.2 if interactive else 10.0,
        bar_format="{desc}: {percentage:3.0f}% |{bar:20}| {n:.4g}/{total:.4g} {unit} "
        "[{elapsed}<{remaining}, {rate_fmt}{postfix}]",
    ) as bar:
        yield bar


def announce(sentence: str) -> None:
    """A line on standard error, above the bars that are there."""
    tqdm.write(f"kstep: {sentence}", file=sys.stderr)
