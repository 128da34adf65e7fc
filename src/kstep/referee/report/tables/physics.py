"""Energy, temperature, ensemble, structure, dynamics and map of one molecule."""

from collections.abc import Sequence

from kstep.referee.metrics import (
    SIDES,
    DynamicsMetrics,
    EnsembleMetrics,
    MapMetrics,
    MoleculeMetrics,
    StructureMetrics,
    TemperatureMetrics,
    WindowDrift,
)
from kstep.referee.report.reading import side_names
from kstep.referee.report.tables.form import (
    NONE,
    Table,
    both,
    both_intervals,
    both_spreads,
    interval,
    number,
    spread,
)

WORST_SHOWN = 12
"""Rows of a structure table."""


def energy_table(molecule: MoleculeMetrics) -> Table:
    """Energy conservation: a column for each side, and one for windows with rescaling."""
    base, ours = molecule.energy.baseline, molecule.energy.candidate
    names = side_names(molecule)

    def row(name: str, field: str, form: str, factor: float = 1.0) -> list[str]:
        found = (number(getattr(side, field), form, factor) for side in (base, ours))
        return [name, *found]

    rows = [
        ["windows × length (ps)", *(_lengths(e.windows) for e in (base, ours))],
        row("drift, 25% quantile (J/mol/ps per atom)", "lower_quartile", "+.3g", 1e3),
        row("drift, median (J/mol/ps per atom)", "median_drift", "+.3g", 1e3),
        row("drift, 75% quantile (J/mol/ps per atom)", "upper_quartile", "+.3g", 1e3),
        row("drift, median (meV/ps per atom)", "median_drift_meV", "+.3g"),
        [
            "size of the drift, typical (J/mol/ps per atom)",
            *(interval(e.size, ".3g", 1e3) for e in (base, ours)),
        ],
        [
            "drift, mean (J/mol/ps per atom)",
            *(interval(e.mean_drift, "+.3g", 1e3) for e in (base, ours)),
        ],
        row("fluctuation about the line, median (kJ/mol)", "median_fluctuation", ".3g"),
        row("largest excursion (kJ/mol)", "largest_excursion", ".3g"),
        [
            "slope of changes of total on kinetic energy (%)",
            *(interval(e.kinetic_slope, "+.2g", 100.0) for e in (base, ours)),
        ],
        ["linear momentum, largest change (thermal units)", *_largest(molecule, "linear_momentum")],
        ["angular momentum, largest change (thermal units)",
         *_largest(molecule, "angular_momentum")],
        row("constraint residual, largest (relative)", "constraint_residual", ".1g"),
    ]  # fmt: skip
    headings = ["NVE windows", *names.values()]
    if ours.rescaled_windows:
        sizes = sorted(abs(window.drift) for window in ours.rescaled_windows)
        extra = {0: _lengths(ours.rescaled_windows), 5: f"{1e3 * sizes[len(sizes) // 2]:.3g}"}
        rows = [[*cells, extra.get(index, "")] for index, cells in enumerate(rows)]
        headings.append(f"{molecule.candidate}, rescaled after each jump")
    return Table("Energy conservation", headings, rows)


def _lengths(windows: Sequence[WindowDrift]) -> str:
    return f"{len(windows)} × {windows[0].length_ps:.4g}" if windows else "none"


def _largest(molecule: MoleculeMetrics, field: str) -> list[str]:
    windows = (getattr(molecule.energy, side).windows for side in SIDES)
    return [number(max((getattr(w, field) for w in own), default=None), ".2g") for own in windows]


def temperature_table(molecule: MoleculeMetrics, found: TemperatureMetrics) -> Table:
    """Mean and spread of the kinetic temperature."""
    rows = [
        ["mean temperature (K)", *both_intervals(found.mean_K, ".1f")],
        ["mean / target - 1 (%)", *both_intervals(found.error, "+.2f", 100.0)],
        ["width of the kinetic energy / canonical - 1 (%)",
         *both_intervals(found.width, "+.2f", 100.0)],
    ]  # fmt: skip
    caption = (
        f"Temperature in NVT, target {found.target_K:g} K, {found.degrees_of_freedom} degrees of "
        "freedom"
    )
    return Table(caption, ["quantity (unit)", *side_names(molecule).values()], rows)


def shares_table(molecule: MoleculeMetrics, found: TemperatureMetrics) -> Table:
    """Kinetic energy by element, bonded role and mode."""
    ours = molecule.candidate
    rows = [
        [
            f"{share.kind} {share.label}",
            f"{share.size:.3g}",
            *both_spreads(share.temperature_K, ".0f"),
            *both_spreads(share.kinetic_energy, ".3f"),
            spread(share.error, "+.1f", 100.0),
            spread(share.nve_error, "+.1f", 100.0),
        ]
        for share in found.shares
    ]
    headings = [
        "kinetic energy of", "atoms or modes", "T, baseline (K)", f"T, {ours} (K)",
        "baseline (kJ/mol each)", f"{ours} (kJ/mol each)", "deviation, NVT (%)",
        "deviation of the share, NVE (%)",
    ]  # fmt: skip
    return Table("Equipartition (±: half of the 90% interval)", headings, rows)


def ensemble_table(molecule: MoleculeMetrics, found: EnsembleMetrics) -> Table:
    """Slope of the ratio of potential-energy distributions."""
    rows = [["slope found / slope expected - 1 (%)", *both_intervals(found.slope, "+.1f", 100.0)]]
    temperatures = " and ".join(f"{t:g}" for t in found.temperatures_K)
    caption = f"Potential energies at {temperatures} K"
    return Table(caption, ["quantity (unit)", *side_names(molecule).values()], rows)


def structure_table(molecule: MoleculeMetrics) -> Table:
    """The coordinates that differ most."""
    entries, ours = molecule.structure.coordinates, molecule.candidate
    rows = [
        [
            f"{entry.kind} {entry.label}" + (f" (×{entry.members})" if entry.members > 1 else ""),
            NONE if entry.mean is None else " / ".join(both(entry.mean, ".4g")),
            *(
                spread(estimate, "+.1f", 100.0)
                for estimate in (entry.mean_shift, entry.width_error, entry.stiffness_error)
            ),
            f"{entry.kl:.4f}",
            f"{entry.js:.4f}",
            f"{entry.noise:.4f}",
            f"{entry.noise_95:.4f}",
            f"{entry.excess:+.4f}",
        ]
        for entry in entries[:WORST_SHOWN]
    ]
    headings = [
        "coordinate", f"mean, baseline / {ours} (nm or °)", "shift of the mean (% of the width)",
        "width off by (%)", "frequency off by (%)", "KL (nats)", "JS (nats)",
        "noise floor (nats)", "noise, 95% (nats)", "JS beyond noise (nats)",
    ]  # fmt: skip
    caption = (
        f"The {len(rows)} of {len(entries)} coordinate classes that differ most (±: half of the "
        f"90% interval); {molecule.structure.fixed_bonds} constrained bonds are equal by "
        "construction and left out"
    )
    return Table(caption, headings, rows)


def torsion_table(molecule: MoleculeMetrics, found: StructureMetrics) -> Table:
    """Populations of the torsional wells and how often they are changed."""
    ours = molecule.candidate
    rows = [
        [
            f"{state.label}, {state.centre_deg:.0f}°",
            *both_spreads(state.population, ".1f", 100.0),
            *both(state.crossings, ".3g"),
            *both(state.rate_per_ns, ".3g"),
        ]
        for state in found.torsions
    ]
    headings = [
        "torsion, well", "time in it, baseline (%)", f"time in it, {ours} (%)",
        "crossings, baseline", f"crossings, {ours}", "rate, baseline (1/ns)",
        f"rate, {ours} (1/ns)",
    ]  # fmt: skip
    return Table(
        "Torsional states and transition rates (±: half of the 90% interval)", headings, rows
    )


def spectrum_table(molecule: MoleculeMetrics, found: DynamicsMetrics) -> Table:
    """Bands of the vibrational density of states."""
    rows = [
        [
            f"{peak.position:.0f}" + ("" if peak.resolved else " (not resolved)"),
            interval(peak.shift, "+.1f"),
            *both(peak.weight, ".1f", 100.0),
        ]
        for peak in found.peaks
    ]
    nyquist = "" if found.nyquist is None else f"; Nyquist wavenumber {found.nyquist:.0f} 1/cm"
    width = "" if found.resolution is None else f"; bins of {found.resolution:.2g} 1/cm"
    headings = ["band (1/cm)", "shift (1/cm)", "weight, baseline (%)",
                f"weight, {molecule.candidate} (%)"]  # fmt: skip
    return Table(f"Bands of the vibrational spectrum{width}{nyquist}", headings, rows)


def memory_table(molecule: MoleculeMetrics, found: DynamicsMetrics) -> Table:
    """How long torsions remember."""
    rows = [[torsion.label, *both(torsion.time_ps, ".3g")] for torsion in found.torsions]
    headings = ["torsion", *(f"{name} (ps)" for name in side_names(molecule).values())]
    return Table("Memory of torsions: integrated autocorrelation time", headings, rows)


def map_table(found: MapMetrics) -> Table:
    """The macro-step as a map: reported, not judged."""
    rows = [
        ["flip, map, flip, map: positions off by (share of the change)",
         interval(found.reversal_x, ".2g")],
        ["flip, map, flip, map: velocities off by (share of the change)",
         interval(found.reversal_v, ".2g")],
        ["symplecticity defect ‖JᵀΩJ − Ω‖ / ‖Ω‖", interval(found.symplectic_defect, ".2g")],
        ["log|det J|, change of phase-space volume", interval(found.log_det, "+.2g")],
        ["true relative error of velocities after a jump", interval(found.true_error, ".2g")],
        ["guard: rank correlation of energy error and true error", number(found.guard_rank, ".2f")],
        ["guard: of the 10% worst jumps among the 10% it likes least (%)",
         number(found.guard_caught, ".0f", 100.0)],
    ]  # fmt: skip
    caption = (
        f"The macro-step as a map, at {found.samples} states; the guard against the truth, at "
        f"{found.guard_samples or NONE}. An exact integrator has 0 in the first four rows"
    )
    return Table(caption, ["quantity", "value (90% interval)"], rows)
