"""Plausible curves for the report's figures, drawn from seeded noise; nothing is simulated."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kstep.referee.metrics import SIDES
from kstep.system.prepared import load_molecule

GAS_CONSTANT = 0.0083144626
FREEDOM, TARGET = 30, 300.0
PHENOL = Path(__file__).parent / "data" / "raw" / "phenol"

Curves = dict[str, np.ndarray]


def full_curves(
    coordinates: Iterable[tuple[str, str]], torsion: str, bands: Iterable[float]
) -> Curves:
    """Every curve there is, for the given (kind, label) pairs, torsion and bands (1/cm)."""
    random = np.random.default_rng(3)
    curves = _energies(random, {"baseline": 2e-5, "candidate": 2e-4}, 16)
    curves |= _rescaled(random, 8) | _temperatures(random) | _ensemble(random)
    for kind, label in coordinates:
        curves |= _histogram(random, kind, label)
    return (
        curves
        | _profile(random, torsion)
        | _motion(bands)
        | _memory(torsion)
        | _guard(random)
        | _view(random)
    )


def bare_curves() -> Curves:
    """What a trajectory of positions alone leaves: three windows and one bond."""
    random = np.random.default_rng(4)
    curves = _energies(random, {"baseline": 2e-5, "candidate": 2e-2}, 3)
    return curves | _histogram(random, "bond", "C1-C2")


def _energies(random: np.random.Generator, drifts: dict[str, float], windows: int) -> Curves:
    times = np.linspace(0.0, 100.0, 500)
    return {
        f"energy/{side}/trace/{index}/{name}": values
        for side, drift in drifts.items()
        for index in range(windows)
        for name, values in (
            ("times", times),
            ("energy", drift * (1 + random.normal()) * times + 0.002 * random.normal(size=500)),
        )
    }


def _rescaled(random: np.random.Generator, windows: int) -> Curves:
    times = np.linspace(0.0, 100.0, 500)
    curves: Curves = {}
    for index in range(windows):
        curves[f"energy/candidate/rescaled/{index}/times"] = times
        curves[f"energy/candidate/rescaled/{index}/energy"] = 0.001 * random.normal(size=500)
    return curves


def _temperatures(random: np.random.Generator) -> Curves:
    edges = np.linspace(80.0, 640.0, 57)
    centres = 0.5 * (edges[1:] + edges[:-1])
    shape = 0.5 * FREEDOM
    log_density = (shape - 1) * np.log(centres) - shape * centres / TARGET
    canonical = np.exp(log_density - log_density.max())
    canonical /= canonical.sum() * np.diff(edges)[0]
    curves = {"temperature/edges": edges, "temperature/canonical": canonical}
    for side, warm in zip(SIDES, (1.0, 1.006), strict=True):
        sample = random.gamma(shape, warm * TARGET / shape, 8000)
        curves[f"temperature/{side}"] = np.histogram(sample, edges, density=True)[0]
    return curves


_SHAPES = {
    "bond": (0.13, 0.15, 0.14, 0.0025),
    "angle": (105.0, 135.0, 120.0, 3.0),
    "distance": (0.0, 0.6, 0.28, 0.05),
    "all distances": (0.0, 0.8, 0.35, 0.12),
}


def _histogram(random: np.random.Generator, kind: str, label: str) -> Curves:
    prefix = f"{kind}/{label}"
    if kind == "dihedral":
        edges = np.linspace(-180.0, 180.0, 73)
        samples = [
            (random.choice([0.0, 180.0], 8000) + random.normal(0, 18, 8000) + 180) % 360 - 180
            for _ in SIDES
        ]
    else:
        low, high, mean, width = _SHAPES[kind]
        edges = np.linspace(low, high, 41)
        samples = [random.normal(mean, width * wider, 8000) for wider in (1.0, 1.02)]
    histograms = {
        f"{prefix}/{side}": np.histogram(sample, edges, density=True)[0]
        for side, sample in zip(SIDES, samples, strict=True)
    }
    return {f"{prefix}/edges": edges, **histograms}


def _profile(random: np.random.Generator, torsion: str) -> Curves:
    angle = np.arange(-177.5, 180.0, 5.0)
    barrier = 14.0 * np.sin(np.radians(angle)) ** 2
    error = 0.1 + 0.06 * barrier
    curves = {f"fes/{torsion}/angle": angle}
    for side in SIDES:
        profile = barrier + error * random.normal(size=len(angle))
        profile[barrier > 13.7] = np.nan
        curves[f"fes/{torsion}/{side}"] = profile
        curves[f"fes/{torsion}/{side}_error"] = np.where(np.isnan(profile), np.nan, error)
    return curves | _surface(random)


def _surface(random: np.random.Generator) -> Curves:
    """Two torsions: one with wells at ±90°, one free; the barrier was never visited."""
    angle = np.arange(-172.5, 180.0, 15.0)
    barrier = np.repeat(14.0 * np.sin(np.radians(angle))[:, None] ** 2, len(angle), axis=1)
    curves = {
        "surface/first": np.array("C2–C1–O7–H13"),
        "surface/second": np.array("H8–C3–C4–H9"),
        "surface/angle": angle,
    }
    for side in SIDES:
        found = barrier + 0.4 * random.normal(size=barrier.shape)
        curves[f"surface/{side}"] = np.where(barrier > 13.0, np.nan, found)
        curves[f"surface/{side}_error"] = np.full_like(barrier, 0.4)
    return curves


def _ensemble(random: np.random.Generator) -> Curves:
    energy = np.linspace(-60.0, 40.0, 25)
    slope = 1 / (GAS_CONSTANT * 300.0) - 1 / (GAS_CONSTANT * 330.0)
    error = 0.02 + 0.00004 * (energy + 10.0) ** 2
    curves = {
        "ensemble/expected/energy": energy[[0, -1]],
        "ensemble/expected/log_ratio": slope * (energy[[0, -1]] + 10.0),
    }
    for side in SIDES:
        curves[f"ensemble/{side}/energy"] = energy
        curves[f"ensemble/{side}/log_ratio"] = slope * (energy + 10.0) + error * random.normal(
            size=25
        )
        curves[f"ensemble/{side}/error"] = error
    return curves


def _motion(bands: Iterable[float]) -> Curves:
    wavenumber = np.arange(0.0, 1850.0, 1.7)
    times = np.arange(0.0, 1.0, 0.016)
    curves = {"spectrum/wavenumber": wavenumber, "vacf/times": times}
    for side, shift in zip(SIDES, (0.0, 1.5), strict=True):
        density = 4e-5 * np.exp(-wavenumber / 150.0)
        correlation = 0.2 * np.exp(-times / 0.3)
        for band in bands:
            density = density + 1.0 / ((wavenumber - band - shift) ** 2 + 60.0)
            turn = 2 * np.pi * 0.0299792 * (band + shift)
            correlation = correlation + np.cos(turn * times) * np.exp(-times / 0.4)
        curves[f"spectrum/{side}"] = density / (density.sum() * 1.7)
        curves[f"vacf/{side}"] = correlation / correlation[0]
    return curves


def _memory(torsion: str) -> Curves:
    times = np.linspace(0.0, 120.0, 200)
    decays = zip(SIDES, (19.4, 20.6), strict=True)
    return {
        f"memory/{torsion}/times": times,
        **{f"memory/{torsion}/{side}": np.exp(-times / decay) for side, decay in decays},
    }


def _guard(random: np.random.Generator) -> Curves:
    error = 0.02 * np.exp(0.5 * random.normal(size=200))
    seen = 40.0 * error * np.exp(0.6 * random.normal(size=200))
    return {"map/guard_energy": seen, "map/true_error": error, "map/refused": seen > 2.0}


def _view(random: np.random.Generator) -> Curves:
    molecule = load_molecule(PHENOL)
    modes = random.normal(size=(4, molecule.n_atoms, 3)) * 0.004
    phase = np.linspace(0.0, 6 * np.pi, 60)
    curves = {"view/numbers": molecule.numbers, "view/bonds": molecule.bonds}
    for side, offset in zip(SIDES, (0.0, 0.7), strict=True):
        waves = np.stack([np.sin((m + 1) * phase / 2 + offset + m) for m in range(4)], axis=1)
        frames = molecule.positions + np.einsum("fm,mnx->fnx", waves, modes)
        curves[f"view/{side}"] = frames.astype(np.float32)
    return curves
