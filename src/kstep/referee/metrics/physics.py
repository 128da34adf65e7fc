"""Energy, equipartition, ensemble, structure and dynamics in `metrics.json`."""

from typing import Literal

from pydantic import Field

from kstep.referee.metrics.base import Estimate, Frozen, Pair


class WindowDrift(Frozen):
    """One NVE window."""

    length_ps: float = Field(description="length, ps")
    drift: float = Field(description="least-squares slope of Etot, kJ/mol/ps per atom")
    drift_meV: float = Field(description="the same in meV/ps per atom")
    fluctuation: float = Field(description="RMS of Etot about the fitted line, kJ/mol")
    excursion: float = Field(description="largest |Etot - Etot at the start|, kJ/mol")
    linear_momentum: float = Field(
        description="largest change of the centre-of-mass velocity in units of the thermal one"
    )
    angular_momentum: float = Field(
        description="largest change of the angular momentum in units of the thermal one"
    )


class EnergyMetrics(Frozen):
    """Energy conservation of one side over its NVE windows."""

    windows: list[WindowDrift] = Field(description="every NVE window in order")
    rescaled_windows: list[WindowDrift] = Field(
        description="every NVE window with velocities rescaled to the energy after each jump"
    )
    median_drift: float | None = Field(
        description="median over windows of the signed drift, kJ/mol/ps per atom"
    )
    lower_quartile: float | None = Field(description="25% quantile of the signed drift")
    upper_quartile: float | None = Field(description="75% quantile of the signed drift")
    median_drift_meV: float | None = Field(description="median signed drift, meV/ps per atom")
    size: Estimate | None = Field(
        description="geometric mean over windows of |drift|, kJ/mol/ps per atom"
    )
    mean_drift: Estimate | None = Field(
        None, description="mean over windows of the signed drift, kJ/mol/ps per atom"
    )
    median_fluctuation: float | None = Field(description="median fluctuation, kJ/mol")
    largest_excursion: float | None = Field(description="largest excursion of all, kJ/mol")
    kinetic_slope: Estimate | None = Field(
        description="regression of changes of Etot on changes of Ekin from frame to frame: what "
        "velocities that do not belong to their energies show; from the densely saved windows"
    )
    constraint_residual: float = Field(
        description="largest relative deviation of a constrained bond length in any frame"
    )


class KineticShare(Frozen):
    """Kinetic energy of a group of atoms or of a kind of motion, centre of mass at rest."""

    kind: Literal["element", "role", "mode"] = Field(
        description="element; role: element and the elements bonded to it; mode: stretch, bend, "
        "torsion, rotation, each the part that the ones before do not contain"
    )
    label: str = Field(description="such as C, H(O), or stretch")
    size: float = Field(description="atoms, or degrees of freedom of a mode")
    temperature_K: Pair[Estimate] | None = Field(
        description="modes: kinetic temperature in NVT, K; atoms have none of their own under "
        "constraints"
    )
    kinetic_energy: Pair[Estimate] = Field(
        description="mean in NVT per atom, or per degree of freedom of a mode, kJ/mol"
    )
    error: Estimate = Field(
        description="elements and roles: candidate / baseline - 1; modes: / exact - 1"
    )
    nve_share: Pair[Estimate] | None = Field(
        description="the same in NVE windows, over that of all atoms or modes"
    )
    nve_error: Estimate | None = Field(description="candidate / baseline - 1 of that share")


class TemperatureMetrics(Frozen):
    """Kinetic temperature in NVT, centre-of-mass velocity removed."""

    target_K: float = Field(description="temperature of the thermostat, K")
    degrees_of_freedom: int = Field(description="3N - constraints - 3")
    mean_K: Pair[Estimate] = Field(description="mean kinetic temperature, K")
    error: Pair[Estimate] = Field(description="mean / target - 1")
    width: Pair[Estimate] = Field(
        description="standard deviation of the kinetic energy over the canonical one, minus 1"
    )
    shares: list[KineticShare] = Field(
        description="by element, bonded role and mode; atoms are compared as energies because "
        "constraints leave them fewer than 3 degrees of freedom, by a share that only the "
        "baseline knows"
    )


class EnsembleMetrics(Frozen):
    """Potential energies at two temperatures (Shirts, J. Chem. Theory Comput. 9, 909 (2013)).

    In a canonical ensemble ln(P₂(U) / P₁(U)) is a straight line of slope 1/k_B T₁ - 1/k_B T₂.
    """

    temperatures_K: list[float] = Field(description="the two temperatures, K")
    slope: Pair[Estimate] = Field(description="slope found / slope expected - 1")


class Divergence(Frozen):
    """How far apart the distributions of one internal coordinate are."""

    label: str = Field(description="elements and serial numbers (as in molecule.pdb) of one member")
    kind: Literal["bond", "angle", "dihedral", "distance", "all distances"] = Field(
        description="distance: all heavy-atom pairs of two elements, the content of the RDF; "
        "all distances: every pair of atoms, h(r)"
    )
    members: int = Field(description="equivalent coordinates pooled in it")
    mean: Pair[float] | None = Field(description="mean, nm or degrees; null for dihedrals")
    width: Pair[float] | None = Field(
        description="standard deviation, nm or degrees; bonds and angles"
    )
    mean_shift: Estimate | None = Field(
        description="bonds and angles: difference of means over the baseline's width"
    )
    width_error: Estimate | None = Field(description="bonds and angles: ratio of widths - 1")
    stiffness_error: Estimate | None = Field(
        description="bonds and angles: ratio of effective frequencies, RMS rate over RMS "
        "displacement, - 1"
    )
    kl: float = Field(description="Kullback-Leibler divergence of candidate from baseline, nats")
    js: float = Field(description="Jensen-Shannon divergence, nats (at most ln 2 = 0.69)")
    noise: float = Field(
        description="mean JS of independent samples of the baseline of these lengths, nats"
    )
    noise_95: float = Field(description="95% quantile of the same, nats")
    excess: float = Field(description="js - noise, nats")
    blocks: int = Field(description="independent blocks of the baseline behind the noise")


class TorsionState(Frozen):
    """One well of a torsion."""

    label: str = Field(description="the dihedral")
    centre_deg: float = Field(description="peak of the well, degrees")
    population: Pair[Estimate] = Field(description="share of the time in the well")
    crossings: Pair[float] = Field(
        description="times a run came into it or left it (mean over pooled members)"
    )
    rate_per_ns: Pair[float] = Field(description="the same per ns")


class StructureMetrics(Frozen):
    """Distributions of internal coordinates and distances in NVT."""

    coordinates: list[Divergence] = Field(description="all classes, worst excess first")
    torsions: list[TorsionState] = Field(description="wells of all torsions with more than one")
    fixed_bonds: int = Field(description="constrained bonds, left out: equal by construction")


class SpectralPeak(Frozen):
    """One band of the vibrational density of states."""

    position: float = Field(description="of the baseline's peak, 1/cm")
    shift: Estimate = Field(description="candidate - baseline of the band's centre, 1/cm")
    weight: Pair[float] = Field(description="share of the band in the whole spectrum")
    resolved: bool = Field(description="whether the windows can tell a shift of the margin")


class TorsionMemory(Frozen):
    """How long a torsion remembers."""

    label: str = Field(description="the dihedral")
    time_ps: Pair[float] = Field(
        description="integrated autocorrelation time of cos and sin, the longer, ps"
    )


class DynamicsMetrics(Frozen):
    """Spectra and memory."""

    nyquist: float | None = Field(
        description="highest wavenumber that the candidate's steps resolve, 1/cm; what lies above "
        "is folded back, in both spectra alike; null without densely saved windows"
    )
    resolution: float | None = Field(description="width of a spectral bin, 1/cm")
    peaks: list[SpectralPeak] = Field(description="bands of the baseline's spectrum, ascending")
    torsions: list[TorsionMemory] = Field(description="memory of every dihedral class that turns")


class MapMetrics(Frozen):
    """The macro-step as a map of phase space: what mechanics would have it be.

    Reported, not judged: what an imperfect map does to energies and temperatures is.
    """

    samples: int = Field(description="states at which it was measured")
    reversal_x: Estimate = Field(
        description="flip, map, flip, map: RMS distance from the start over the RMS change that "
        "is not free flight; interval: over states"
    )
    reversal_v: Estimate = Field(description="the same of velocities, over their RMS change")
    symplectic_defect: Estimate = Field(description="‖JᵀΩJ - Ω‖ / ‖Ω‖ on the constraint manifold")
    log_det: Estimate = Field(description="log|det J|: change of phase-space volume a macro-step")
    guard_samples: int = Field(description="states at which the guard was held against the truth")
    guard_rank: float | None = Field(
        description="Spearman correlation of the energy error, which the guard sees, with the "
        "true error of the velocities, which it does not"
    )
    guard_caught: float | None = Field(
        description="share of the 10% worst jumps that are among the 10% the guard likes least"
    )
    true_error: Estimate = Field(description="true relative error of the velocities after a jump")
