"""Numbers in words, for verdicts and the terminal."""

from collections.abc import Sequence

from kstep.referee.metrics import MoleculeMetrics


def span(values: Sequence[float]) -> str:
    """The range of some numbers to two digits: `6.3 to 6.4`, or one number."""
    low, high = (f"{end:.2g}" if end < 100 else f"{end:.0f}" for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def length_in_words(ns: float) -> str:
    """A simulated length to two digits: `280 ns`."""
    return f"{float(f'{ns:.2g}'):g} ns"


def momenta_not_judged(molecule: MoleculeMetrics) -> str:
    """Why a molecule's momenta are not judged, where forces act on it from outside."""
    acting = "acts" if len(molecule.external_forces) == 1 else "act"
    return f"{' and '.join(molecule.external_forces)} {acting} from outside, so they do not stay"
