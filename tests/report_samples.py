"""An evaluation made up for the report: every optional part on one molecule, none on the other.

Phenol is accepted; `beta <&>` is rejected, with one claim that lacks data. Numbers and curves are
drawn from seeded noise about plausible shapes; nothing is simulated.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kstep.artifacts import hash_file, write_json, write_npz
from kstep.config import Config, load_config
from kstep.referee.claims.checks import (
    CLAIMS,
    DYNAMICS,
    ENERGY,
    ENSEMBLE,
    EQUIPARTITION,
    MECHANICS,
    STRUCTURE,
    TEMPERATURE,
)
from kstep.referee.metrics import (
    BasinMetrics,
    BasinSide,
    Check,
    Claim,
    CostMetrics,
    Divergence,
    DynamicsMetrics,
    EfficiencyMetrics,
    EnergyMetrics,
    EnsembleMetrics,
    Estimate,
    KineticShare,
    LearningRound,
    MapMetrics,
    MethodErrors,
    MethodMetrics,
    Metrics,
    MoleculeMetrics,
    Outcome,
    Pair,
    Sampling,
    SpectralPeak,
    StructureMetrics,
    TemperatureMetrics,
    TorsionMemory,
    TorsionState,
    Verdict,
    WindowDrift,
)
from kstep.workflow.evaluate import CURVES_SCHEMA, CURVES_VERSION, curves_of
from regressed import PROPAGATOR
from report_curves import FREEDOM, GAS_CONSTANT, TARGET, bare_curves, full_curves

FULL, BARE = "phenol", "beta <&>"
GOOD, BAD, OPEN = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNDECIDED
TORSION = "C5-C6-O7-H13"


def write_sample(folder: Path) -> tuple[Config, Path]:
    """Both molecules' metrics and curves in `folder`, as the evaluation leaves them."""
    config = load_config([PROPAGATOR], [f"paths.run={folder}", "eval.force_call_ms=25"])
    path = folder / "eval" / "metrics.json"
    own = full_curves([(kind, label) for kind, label, _ in COORDINATES], TORSION, BANDS)
    curves = {f"{FULL}/{key}": array for key, array in own.items()}
    curves |= {f"{BARE}/{key}": array for key, array in bare_curves().items()}
    record = {"schema": CURVES_SCHEMA, "schema_version": CURVES_VERSION}
    write_npz(curves_of(path), curves, record)
    metrics = sample_metrics(config, hash_file(curves_of(path)))
    write_json(path, metrics.model_dump(mode="json", by_alias=True))
    return config, path


def sample_metrics(config: Config, curves_hash: str) -> Metrics:
    record = {"schema": "kstep.trajectory", "seed": 42, "versions": {"OpenMM": "8.6.1"}}
    return Metrics(
        acceptance_version=3,
        config_hash="c0" * 32,
        config={"eval": config.eval.model_dump(mode="json")},
        source_hashes={f"md/{FULL}.npz": "ab" * 32, f"hybrid/{FULL}.npz": "cd" * 32},
        curves_hash=curves_hash,
        provenance={name: Pair(baseline=record, candidate=record) for name in (FULL, BARE)},
        missing=["gamma"],
        molecules=[bare_molecule(), full_molecule()],
        outcome=BAD,
        sentence=f"The hybrid is rejected: it gets {BARE} (1 of 2 molecules) wrong; it makes 4 "
        "times fewer force calls, and on the clock it is 8 times slower.",
    )


def around(value: float, half: float) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def pair(make: Callable[[float], object], baseline: float, candidate: float) -> Pair:
    return Pair(baseline=make(baseline), candidate=make(candidate))


def full_molecule() -> MoleculeMetrics:
    return MoleculeMetrics(
        name=FULL, smiles="Oc1ccccc1", n_atoms=13, candidate="hybrid", k_steps=8,
        corrector="drift_kick_drift", dt_ps=0.002,
        sampling=Pair(baseline=_sampling(8000.0, 16), candidate=_sampling(8000.0, 16)),
        energy=Pair(baseline=_energy(2e-5, 0), candidate=_energy(2e-4, 8)),
        temperature=_temperature(),
        ensemble=EnsembleMetrics(
            temperatures_K=[300.0, 330.0],
            slope=Pair(baseline=around(0.004, 0.03), candidate=around(-0.011, 0.035)),
        ),
        structure=_structure(), dynamics=_dynamics(), map=_map(), cost=_cost(),
        efficiency=EfficiencyMetrics(
            observable=TORSION, independent=Pair(baseline=410.0, candidate=395.0),
            per_1000_calls=Pair(baseline=0.103, candidate=0.395),
            per_second=Pair(baseline=21.0, candidate=2.6),
        ),
        basin=_basin(), methods=_methods(),
        verdict=Verdict(
            outcome=GOOD,
            sentence="; ".join(CLAIMS),
            claims=_accepted_claims(),
        ),
    )  # fmt: skip


def bare_molecule() -> MoleculeMetrics:
    """Positions of somebody's integrator: no velocities, no costs, no controls, no replicas."""
    claims = [
        Claim(
            name=ENERGY, outcome=BAD, more_ns=None,
            sentence="in NVE the energy drifts by 0.02 kJ/mol/ps per atom (90%: 0.018 to 0.023), "
            "above the allowed 0.001",
            checks=[_check("size of the drift", 0.02, 0.0025, 0.001, "kJ/mol/ps per atom")],
        ),
        Claim(
            name=STRUCTURE, outcome=OPEN, more_ns=3.2,
            sentence="the dihedral C1-C2-O3-C4 differs from the baseline by 0.03 nats against "
            "0.02 of noise, which the data cannot tell; about 3.2 ns more of both would",
            checks=[
                _check(f"distribution of the dihedral C{i}-C{i + 1}-O3-C4", 0.03, 0.03, 0.05,
                       "nats", more_ns=3.2 / i)
                for i in range(1, 31)
            ],
        ),
        Claim(
            name=DYNAMICS, outcome=OPEN, more_ns=None, checks=[],
            sentence="there are no densely saved windows of the candidate",
        ),
    ]  # fmt: skip
    return MoleculeMetrics(
        name=BARE, smiles="CCOC", n_atoms=12, candidate="other.dcd", k_steps=None, corrector=None,
        dt_ps=0.002,
        sampling=Pair(
            baseline=_sampling(8000.0, 16),
            candidate=Sampling(replicas=1, nvt_frames=800, nvt_ps=80.0, discarded_ps=12.0,
                               nve_windows=3, motion_windows=0, velocities=False),
        ),
        energy=Pair(baseline=_energy(2e-5, 0), candidate=_energy(2e-2, 0)),
        temperature=None, ensemble=None,
        structure=StructureMetrics(
            coordinates=[_divergence("bond", "C1-C2", 0.03, 0.02, 2)], torsions=[], fixed_bonds=7
        ),
        dynamics=DynamicsMetrics(nyquist=None, resolution=None, peaks=[], torsions=[]),
        map=None, cost=None, efficiency=None, basin=None, methods=[],
        verdict=Verdict(outcome=BAD, sentence=claims[0].sentence, claims=claims),
    )  # fmt: skip


def _sampling(nvt_ps: float, windows: int) -> Sampling:
    return Sampling(
        replicas=8, nvt_frames=round(nvt_ps * 10), nvt_ps=nvt_ps, discarded_ps=42.0,
        nve_windows=windows, motion_windows=16, velocities=True,
    )  # fmt: skip


def _energy(drift: float, rescaled: int) -> EnergyMetrics:
    noise = np.random.default_rng(1).normal(size=16)

    def window(index: int, scale: float) -> WindowDrift:
        slope = scale * drift * (1.0 + noise[index])
        return WindowDrift(
            length_ps=100.0, drift=slope, drift_meV=slope * 10.364, fluctuation=0.05,
            excursion=0.2 + 100.0 * abs(slope), linear_momentum=1e-9, angular_momentum=2e-4,
        )  # fmt: skip

    windows = [window(index, 1.0) for index in range(16)]
    drifts = [w.drift for w in windows]
    low, median, high = (float(q) for q in np.quantile(drifts, (0.25, 0.5, 0.75)))
    return EnergyMetrics(
        windows=windows, rescaled_windows=[window(index, 0.03) for index in range(rescaled)],
        median_drift=median, lower_quartile=low, upper_quartile=high,
        median_drift_meV=median * 10.364, size=around(drift, 0.3 * drift), median_fluctuation=0.05,
        largest_excursion=max(w.excursion for w in windows), kinetic_slope=around(0.002, 0.004),
        constraint_residual=3e-6,
    )  # fmt: skip


def _temperature() -> TemperatureMetrics:
    def share(kind: str, label: str, size: float, index: int) -> KineticShare:
        mode = kind == "mode"
        shift = 0.01 * np.sin(index)
        half = 0.5 * GAS_CONSTANT * TARGET
        each = half if mode else 2.1 * half
        return KineticShare(
            kind=kind, label=label, size=size,
            temperature_K=pair(lambda t: around(t, 2.0), 300.2, 300.0 * (1 + shift)) if mode
            else None,
            kinetic_energy=pair(lambda e: around(e, 0.03), each, each * (1 + shift)),
            error=around(shift, 0.008 + 0.002 * index),
            nve_share=pair(lambda s: around(s, 0.01), 1.0, 1.0 + 2 * shift),
            nve_error=None if index == 2 else around(2 * shift, 0.02),
        )  # fmt: skip

    named = [
        ("element", "C", 6), ("element", "H", 6), ("element", "O", 1), ("role", "C(C2H)", 5),
        ("role", "C(C2O)", 1), ("role", "H(C)", 5), ("role", "H(O)", 1), ("role", "O(CH)", 1),
        ("mode", "stretch", 7.0), ("mode", "bend", 11.4), ("mode", "torsion", 9.6),
        ("mode", "rotation", 3.0),
    ]  # fmt: skip
    shares = [share(*entry, index) for index, entry in enumerate(named)]
    return TemperatureMetrics(
        target_K=TARGET, degrees_of_freedom=FREEDOM,
        mean_K=pair(lambda t: around(t, 1.1), 300.1, 301.8),
        error=pair(lambda e: around(e, 0.004), 0.0003, 0.006),
        width=pair(lambda e: around(e, 0.01), -0.002, 0.011), shares=shares,
    )  # fmt: skip


def _divergence(kind: str, label: str, js: float, noise: float, members: int) -> Divergence:
    plain = kind in ("bond", "angle")
    mean = {"bond": 0.14, "angle": 120.0, "distance": 0.3, "all distances": 0.4}.get(kind)
    return Divergence(
        label=label, kind=kind, members=members,
        mean=None if mean is None else Pair(baseline=mean, candidate=1.001 * mean),
        width=Pair(baseline=mean / 40, candidate=mean / 39) if plain else None,
        mean_shift=around(0.02, 0.02) if plain else None,
        width_error=around(0.012, 0.01) if plain else None,
        stiffness_error=around(-0.01, 0.01) if plain else None,
        kl=2.1 * js, js=js, noise=noise, noise_95=1.8 * noise, excess=js - noise, blocks=40,
    )  # fmt: skip


COORDINATES = [
    ("dihedral", TORSION, 2), ("bond", "C6-O7", 1), ("bond", "C1-C2", 2), ("bond", "C1-C6", 2),
    ("bond", "C2-C3", 2), ("angle", "C6-O7-H13", 1), ("angle", "C5-C6-O7", 2),
    ("angle", "C1-C2-C3", 2), ("angle", "C2-C3-C4", 1), ("angle", "C1-C2-H9", 2),
    ("dihedral", "C1-C2-C3-C4", 2), ("dihedral", "C6-C1-C2-C3", 2),
    ("dihedral", "C2-C1-C6-O7", 2), ("distance", "C-C", 15), ("distance", "C-O", 6),
    ("all distances", "all atoms", 78),
]  # fmt: skip


def _structure() -> StructureMetrics:
    entries = [
        _divergence(kind, label, 0.008 - 0.0004 * i, 0.004, members)
        for i, (kind, label, members) in enumerate(COORDINATES)
    ]
    wells = [
        TorsionState(
            label=TORSION, centre_deg=centre,
            population=Pair(baseline=around(share, 0.04), candidate=around(share + 0.02, 0.05)),
            crossings=Pair(baseline=86.5, candidate=81.0),
            rate_per_ns=Pair(baseline=10.8, candidate=10.1),
        )
        for centre, share in ((0.0, 0.51), (180.0, 0.49))
    ]  # fmt: skip
    return StructureMetrics(coordinates=entries, torsions=wells, fixed_bonds=6)


BANDS = (240.0, 410.0, 690.0, 1010.0, 1180.0, 1330.0, 1600.0)


def _dynamics() -> DynamicsMetrics:
    peaks = [
        SpectralPeak(
            position=position, shift=around(0.4 * np.sin(i), 1.5),
            weight=Pair(baseline=0.14, candidate=0.14 + 0.005 * np.cos(i)), resolved=i != 0,
        )
        for i, position in enumerate(BANDS)
    ]  # fmt: skip
    memories = [TorsionMemory(label=TORSION, time_ps=Pair(baseline=19.4, candidate=20.6))]
    return DynamicsMetrics(nyquist=1850.0, resolution=1.7, peaks=peaks, torsions=memories)


def _map() -> MapMetrics:
    return MapMetrics(
        samples=8, reversal_x=around(0.021, 0.006), reversal_v=around(0.034, 0.008),
        symplectic_defect=around(0.012, 0.004), log_det=around(0.0005, 0.002), guard_samples=200,
        guard_rank=0.71, guard_caught=0.65, true_error=around(0.03, 0.004),
    )  # fmt: skip


def _cost() -> CostMetrics:
    return CostMetrics(
        nominal_saving=8.0, counted_saving=4.0, starting_calls=160_000,
        saving_with_starts=3.8, training_calls=1_800_000,
        saving_with_training=2.1, shown_saving=4.0, break_even_ns=4.8,
        training_minutes=3.5, break_even_clock_ns=0.058,
        training_rounds=[LearningRound(labels=n, force_error=e)
                         for n, e in ((0, 0.61), (200, 0.256), (600, 0.088), (1400, 0.048))],
        wall_ratio=0.125,
        s_per_ps=Pair(baseline=0.02, candidate=0.16),
        parts={"network": 9.0, "forces": 2.0, "corrector": 1.0, "guard": 0.5, "thermostat": 0.2,
               "writing": 0.1},
        rejected_share=0.012, steps_per_macro=8.0, calls_per_macro=2.0, step_cost_s=4e-5,
        overhead_s=0.00248, break_even_s=0.00248 / 6.0, platform="CPU",
    )  # fmt: skip


def _basin() -> BasinMetrics:
    def side(scale: int) -> BasinSide:
        calls = [scale * (1 + i) if i < 7 else None for i in range(8)]
        return BasinSide(
            force_calls=calls, wall_s=[None if c is None else c / 900.0 for c in calls],
            reached_share=7 / 8, at_once_share=1 / 8, median_force_calls=4.5 * scale,
            median_wall_s=scale / 200.0,
        )  # fmt: skip

    sides = Pair(baseline=side(4000), candidate=side(1100))
    return BasinMetrics(best_energy=-103.2, sides=sides, trivial=False)


def _methods() -> list[MethodMetrics]:
    def errors(size: float) -> MethodErrors:
        return MethodErrors(
            sampled_ps=8000.0, temperature_error=0.3 * size, width_error=size,
            divergence=0.2 * size, divergence_of=TORSION,
        )  # fmt: skip

    rows = [
        ("plain MD, 0.5 fs", 0.5, None, 80.0, 0.026),
        ("velocity Verlet, 2 fs", 2.0, 0.010, 20.0, 0.103),
        ("LangevinMiddle, 2 fs", 2.0, 0.006, 19.0, 0.104),
        ("LangevinMiddle, 4 fs, H 3 Da", 4.0, 0.03, 10.0, 0.21),
        ("LangevinMiddle, 4 fs, H 1.5 Da", 4.0, 0.06, 10.0, 0.2),
        ("r-RESPA, 4 fs / 1 fs", 4.0, 0.04, 26.0, 0.2),
        ("hybrid, k = 8", 2.0, 0.02, 160.0, 0.395),
    ]
    return [
        MethodMetrics(
            name=name, dt_fs=dt, simulated_ps=8000.0, force_calls=round(8e6 / dt), s_per_ns=s,
            drift=2e-5 * dt**2, fluctuation=0.01 * dt**2,
            equal_time=None if size is None else errors(size),
            equal_calls=None if size is None else errors(1.4 * size),
            per_1000_calls=None if dt == 0.5 else per_call, per_second=per_call * 1e3 / s,
            outcome=None if size is None else (BAD if size > 0.05 else GOOD),
        )
        for name, dt, size, s, per_call in rows
    ]  # fmt: skip


def _check(
    label: str, value: float, half: float, margin: float, unit: str = "",
    more_ns: float | None = None,
) -> Check:  # fmt: skip
    deviation = around(value, half)
    inside = -margin <= deviation.low and deviation.high <= margin
    outcome = GOOD if inside else BAD if abs(value) - half > margin else OPEN
    return Check(
        label=label, unit=unit, deviation=deviation, margin=margin, more_ns=more_ns,
        p_beyond=0.001 if inside else 0.4, outcome=outcome, needed=outcome is not OPEN,
    )  # fmt: skip


def _accepted_claims() -> list[Claim]:
    found = _temperature()
    kinetic = [
        Check(label=f"kinetic energy of {s.kind} {s.label} in NVT", unit="", deviation=s.error,
              margin=0.05, p_beyond=0.0005, outcome=GOOD, needed=True, more_ns=None)
        for s in found.shares
    ]  # fmt: skip
    structure = [
        _check(f"distribution of the {kind} {label}", 0.002, 0.003, 0.02, "nats")
        for kind, label, _ in COORDINATES
    ]
    entries: dict[str, tuple[str, list[Check]]] = {
        ENERGY: ("the energy drifts by 0.0002 kJ/mol/ps per atom", [
            _check("size of the drift", 2e-4, 6e-5, 1e-3, "kJ/mol/ps per atom"),
            _check("change of the total energy with the kinetic", 0.001, 0.001, 0.003),
        ]),
        MECHANICS: ("constraints hold to 3e-6", [
            _check("largest change of the linear momentum", 1e-9, 0.0, 1e-3),
            _check("largest error of a constrained bond", 3e-6, 0.0, 1e-4),
        ]),
        TEMPERATURE: ("the mean temperature is off by +0.6%", [
            _check("mean temperature", 0.006, 0.004, 0.015),
            _check("width of the kinetic energy", 0.011, 0.01, 0.05),
        ]),
        EQUIPARTITION: ("the kinetic energy of H(O) is off by +1%", kinetic),
        ENSEMBLE: ("the slope of ln(P2/P1) is off by -1.1%",
                   [_check("slope of ln P2/P1", -0.011, 0.035, 0.15)]),
        STRUCTURE: ("the worst coordinate differs by 0.004 nats beyond noise", structure),
        DYNAMICS: ("bands are at most 2 1/cm off and torsions turn as often",
                   [_check(f"place of the band at {b:.0f} 1/cm", 0.4, 1.5, 3.0, "1/cm")
                    for b in BANDS]),
    }  # fmt: skip
    return [
        Claim(name=name, outcome=GOOD, sentence=sentence, checks=checks, more_ns=None)
        for name, (sentence, checks) in entries.items()
    ]
