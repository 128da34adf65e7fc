"""Spectra and kinetic slopes of velocity Verlet's exact harmonic motion, folded and not."""

import numpy as np
import pytest

from kstep.config import EvalConfig
from kstep.errors import ArtifactError
from kstep.referee.claims.checks import adjudicate
from kstep.referee.metrics import Outcome
from kstep.referee.physics.spectrum import (
    PS_WAVENUMBER,
    common_grid,
    compare_spectra,
    kinetic_slopes,
)
from kstep.referee.statistics.estimates import difference
from kstep.system.motion import Motion

DT_PS = 0.002
MASSES = np.array([12.011, 15.999, 1.008, 12.011])
BANDS = (310.0, 640.0, 880.0, 1350.0, 1650.0)
"""1/cm."""
SCATTER = 2.0
"""Of a band's place from window to window, 1/cm."""


def directions() -> np.ndarray:
    """Orthonormal mass-weighted directions without centre-of-mass motion [M, N, 3]."""
    root = np.sqrt(MASSES)
    across = np.linalg.qr(np.column_stack([root, np.eye(4)[:, :3]]))[0][:, 1:]
    basis = np.einsum("nk,ij->kinj", across, np.eye(3)).reshape(9, 4, 3)
    return basis[: len(BANDS)]


def make_motion(
    seed: int, stride: int = 1, windows: int = 12, bands: tuple[float, ...] = BANDS,
    speed: float = 1.0, late_steps: float = 0.0, window_ps: float = 20.0,
) -> Motion:  # fmt: skip
    """Harmonic modes of random energy, as velocity Verlet moves them.

    x = A cos Ωt and v = -A ω √(1 - s) sin Ωt with cos Ω dt = 1 - (ω dt)²/2 and s = (ω dt)²/4.
    """
    rng = np.random.default_rng(seed)
    times = DT_PS * stride * np.arange(round(window_ps / DT_PS / stride))
    apparent = 2 * np.pi / PS_WAVENUMBER * (
        np.array(bands) + SCATTER * rng.standard_normal((windows, len(bands)))
    )  # fmt: skip
    root = np.sqrt(1.0 - (1.0 - np.cos(apparent * DT_PS)) / 2.0)
    size = rng.rayleigh(1.0, apparent.shape)
    angle = times[:, None, None] * apparent + rng.uniform(0.0, 7.0, apparent.shape)
    rates = -speed * size * root * np.sin(angle + late_steps * DT_PS * apparent)
    vectors = directions() / np.sqrt(MASSES)[:, None]
    return Motion(
        vel=np.einsum("twm,mni->wtni", rates, vectors).astype(np.float32),
        epot=0.5 * ((size * np.cos(angle)) ** 2).sum(axis=2).T,
        ekin=0.5 * (rates**2).sum(axis=2).T,
        spacing=DT_PS * stride,
        record={"molecule": "sample"},
    )


def folded(wavenumber: float, stride: int) -> float:
    """Where a wavenumber shows in a spectrum of every `stride`-th step."""
    twice_nyquist = PS_WAVENUMBER / (DT_PS * stride)
    inside = wavenumber % twice_nyquist
    return min(inside, twice_nyquist - inside)


CONFIG = EvalConfig()
BASELINE = make_motion(1)


@pytest.mark.parametrize("stride", [1, 9])
def test_a_faultless_candidate_keeps_every_band(stride):
    nyquist, resolution, peaks, curves, measured = compare_spectra(
        CONFIG, BASELINE, make_motion(2, stride), MASSES
    )
    assert nyquist == pytest.approx(8339.1 / stride, rel=1e-5)
    assert resolution == pytest.approx(3.336, rel=3e-3)
    expected = sorted(folded(band, stride) for band in BANDS)
    assert [peak.position for peak in peaks] == pytest.approx(expected, abs=2 * resolution)
    assert {check.outcome for check in adjudicate(measured)} == {Outcome.ACCEPTED}
    for side in ("baseline", "candidate"):
        assert curves[f"spectrum/{side}"].sum() * resolution == pytest.approx(1.0)
        assert curves[f"vacf/{side}"][0] == 1.0


@pytest.mark.parametrize("stride", [1, 9])
@pytest.mark.parametrize("moved", range(len(BANDS)))
def test_a_shifted_band_is_found_folded_or_not(stride, moved):
    bands = tuple(band + 8.0 * (index == moved) for index, band in enumerate(BANDS))
    *_, peaks, _, measured = compare_spectra(
        CONFIG, BASELINE, make_motion(2, stride, bands=bands), MASSES
    )
    rejected = [
        peak
        for peak, check in zip(peaks, adjudicate(measured), strict=True)
        if check.outcome is Outcome.REJECTED
    ]
    assert len(rejected) == 1
    place, direction = folded(BANDS[moved], stride), np.sign(
        folded(BANDS[moved] + 8.0, stride) - folded(BANDS[moved], stride)
    )  # fmt: skip
    assert rejected[0].position == pytest.approx(place, abs=8.0)
    assert rejected[0].shift.value == pytest.approx(8.0 * direction, abs=2.5)


def test_memory_of_one_mode_is_its_cosine():
    one = make_motion(3, bands=(500.0,) * 5)
    curves = compare_spectra(CONFIG, one, one, MASSES)[3]
    cosine = np.cos(2 * np.pi * 500.0 / PS_WAVENUMBER * curves["vacf/times"])
    early = curves["vacf/times"] < 0.3
    assert curves["vacf/times"][-1] == pytest.approx(2.0)
    assert curves["vacf/candidate"][early] == pytest.approx(cosine[early], abs=0.05)


def test_the_weight_of_a_band_is_its_share_of_the_kinetic_energy():
    weighted = BASELINE.vel.astype(np.float64) * np.sqrt(MASSES)[:, None]
    squares = (np.einsum("wfni,mni->wfm", weighted, directions()) ** 2).mean(axis=(0, 1))
    *_, peaks, _, _ = compare_spectra(CONFIG, BASELINE, BASELINE, MASSES)
    weights = [peak.weight.candidate for peak in peaks]
    assert weights == pytest.approx(squares / squares.sum(), rel=0.05)


def test_the_end_of_a_window_does_not_meet_its_start():
    short = make_motion(3, window_ps=3.0)
    memory = compare_spectra(CONFIG, short, short, MASSES)[3]["vacf/baseline"]
    assert np.abs(memory).max() < 1.2


def test_drifting_as_a_whole_is_no_vibration():
    adrift = make_motion(2)
    moving = Motion(adrift.vel + 30.0, adrift.epot, adrift.ekin, adrift.spacing, adrift.record)
    plain, moved = (
        compare_spectra(CONFIG, BASELINE, one, MASSES)[3]["vacf/candidate"]
        for one in (adrift, moving)
    )
    assert moved == pytest.approx(plain, abs=1e-3)


def test_bands_that_few_windows_leave_uncertain_need_not_acquit():
    bands = (200.0, 400.0, 800.0, 1200.0, 1650.0)
    wide = [make_motion(seed, windows=5, window_ps=4.0, bands=bands) for seed in (1, 2)]
    *_, peaks, _, measured = compare_spectra(CONFIG, *wide, MASSES)
    assert any(not one.needed for one in measured)
    assert [peak.resolved for peak in peaks] == [one.needed for one in measured]


def test_too_little_to_place_a_band_gives_a_spectrum_without():
    for little in (make_motion(2, windows=3), make_motion(2, window_ps=1.0)):
        *_, peaks, curves, measured = compare_spectra(CONFIG, BASELINE, little, MASSES)
        assert peaks == [] and measured == []
        assert len(curves["spectrum/baseline"]) == len(curves["spectrum/wavenumber"])


def test_the_finer_side_is_thinned_out_whichever_it_is():
    for sides in ((BASELINE, make_motion(2, 9)), (make_motion(2, 9), BASELINE)):
        first, second = common_grid(*sides)
        assert first.spacing == pytest.approx(second.spacing) == pytest.approx(0.018)
    with pytest.raises(ArtifactError, match=r"sample .* neither is a multiple"):
        common_grid(make_motion(1, 2), make_motion(1, 3))


@pytest.mark.parametrize("stride", [1, 9, 17])
def test_the_kinetic_slope_tells_velocities_half_a_percent_too_large(stride):
    faultless, fast, slow, late = (
        difference(*reversed(kinetic_slopes(BASELINE, make_motion(2, stride, **fault))))
        for fault in ({}, {"speed": 1.005}, {"speed": 0.995}, {"late_steps": 0.5})
    )
    assert abs(faultless.value) < max(3.5 * faultless.error, 2e-4)
    assert abs(faultless.value) < 0.001
    for found, exact in ((fast, 0.01), (slow, -0.01)):
        assert found.value == pytest.approx(exact, abs=0.0015)
        assert (abs(found.value) - CONFIG.max_kinetic_slope) / found.error > 4.0
    assert abs(late.value) > 0.01


def test_the_slope_of_velocity_verlet_is_minus_a_quarter_of_its_squared_phase():
    one = make_motion(4, bands=(1000.0,) * 5)
    found, _ = kinetic_slopes(one, one)
    s = (1.0 - np.cos(2 * np.pi * 1000.0 / PS_WAVENUMBER * DT_PS)) / 2.0
    assert found.value == pytest.approx(-s / (1.0 - s), rel=0.02)


def test_no_slope_from_too_little():
    assert kinetic_slopes(BASELINE, make_motion(2, windows=3)) is None
    assert kinetic_slopes(BASELINE, make_motion(2, 9, window_ps=0.4)) is None
