"""The report: self-contained, complete, honest about time, and equal for equal metrics."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.image import imread

from evaluate_samples import make_baseline, make_hybrid, make_molecule, make_run
from kstep import evaluate, report
from kstep.errors import ArtifactError
from kstep.evaluate.metrics import Metrics
from kstep.report import stage
from kstep.report.lights import basin_light, clock_sentence, overall_lights

SUBJECTS = ("energy", "temperature", "coordinates", "rdf", "cost", "basin")
VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects sources, links and text, and checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    names = ("alpha", "beta <&>")
    molecules = [make_molecule(folder, name) for name in names]
    for index, molecule in enumerate(molecules):
        hybrid = make_hybrid(molecule, 2 + index, n_frames=800, n_windows=3, drift=0.05 * index)
        baseline = make_baseline(molecule, 10 + index, n_frames=800, n_windows=3)
        config = make_run(folder, baseline, hybrid, molecule)
    metrics = evaluate.run(config, molecules)
    return config, metrics, report.run(config, metrics)


@pytest.fixture
def page(reported) -> Page:
    parsed = Page()
    parsed.feed(reported[2].read_text())
    assert not parsed.open
    return parsed


def test_the_page_needs_nothing_but_itself(page, reported):
    assert page.sources
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", reported[2].read_text())
    pictures = [source for source in page.sources if source.startswith("data:image/svg+xml")]
    assert len(pictures) == 1 + 2 * len(SUBJECTS)


def test_every_figure_is_there_as_png_and_svg(reported):
    folder = reported[2].parent / "figures"
    expected = {"drift"} | {f"{n}_{s}" for n in ("alpha", "beta <&>") for s in SUBJECTS}
    for kind in ("png", "svg"):
        assert {path.stem for path in folder.glob(f"*.{kind}")} == expected
    for path in folder.glob("*.png"):
        image = imread(path)
        assert image.shape[1] > 1000
        assert image[..., :3].std() > 0.02, f"{path} is blank"
    for path in folder.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_verdict_comes_first_and_slowness_is_said(page, reported):
    text = " ".join(" ".join(page.text).split())
    metrics = evaluate.load_metrics(reported[1])
    assert metrics.sentence in text
    assert text.index(metrics.sentence) < text.index("Claim by claim")
    assert "4 times SLOWER than plain MD" in text
    assert "breaks even when a force call costs" in text
    for claim in metrics.molecules[0].verdict.claims:
        assert claim.name in text
    for heading in ("(kJ/mol)", "(K)", "(nats)", "SHA-256", "(J/mol/ps per atom)"):
        assert heading in text
    for value in metrics.source_hashes.values():
        assert value in text


def test_lights_have_words_and_the_worst_molecule_decides(reported):
    metrics = evaluate.load_metrics(reported[1])
    lights = {light.name: light for light in overall_lights(metrics)}
    assert lights["energy is conserved"].state == "bad"
    assert "beta" in lights["energy is conserved"].sentence
    assert lights["fewer force calls"].state == "good"
    assert lights["faster on the clock"].word == "no"
    assert {light.sign for light in lights.values()} <= {"✓", "?", "✗"}


def test_a_faster_hybrid_is_called_faster(reported):
    cost = evaluate.load_metrics(reported[1]).molecules[0].cost
    assert cost is not None
    quick = cost.model_copy(update={"wall_ratio": 2.5})
    assert clock_sentence([quick]).startswith("The hybrid is 2.5 times faster")
    never = cost.model_copy(update={"break_even_s": None})
    assert "never break even" in clock_sentence([never])


def test_a_rigid_molecule_proves_nothing_about_basins(reported):
    basin = evaluate.load_metrics(reported[1]).molecules[0].basin
    assert basin is not None
    assert basin_light(basin).state == "good"
    rigid = basin_light(basin.model_copy(update={"trivial": True}))
    assert (rigid.state, rigid.word) == ("plain", "does not apply")
    lost = basin.sides.hybrid.model_copy(update={"median_force_calls": None})
    sides = basin.sides.model_copy(update={"hybrid": lost})
    assert basin_light(basin.model_copy(update={"sides": sides})).state == "open"


def test_equal_metrics_give_equal_bytes_and_no_second_drawing(reported, monkeypatch):
    config, metrics, target = reported
    files = sorted(path for path in target.parent.rglob("*") if path.is_file())
    before = [path.read_bytes() for path in files]
    (target.parent / "figures" / "drift.png").write_bytes(b"spoiled")
    report.run(config, metrics)
    assert [path.read_bytes() for path in files] == before

    def fail(*_: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(stage, "draw_all", fail)
    assert report.run(config, metrics) == target


def write(metrics: Metrics, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(metrics.model_dump_json(by_alias=True))
    return path


def test_bare_metrics_are_reported_too(reported, tmp_path):
    """No NVE windows, no cost, no basin, one missing molecule: shorter, still whole."""
    config, path, _ = reported
    metrics = evaluate.load_metrics(path)
    first = metrics.molecules[0]
    none = first.energy.hybrid.model_copy(update={
        "windows": [], "size": None, "median_drift": None, "lower_quartile": None,
        "upper_quartile": None, "median_drift_meV": None, "median_fluctuation": None,
        "largest_excursion": None,
    })  # fmt: skip
    energy = first.energy.model_copy(update={"baseline": none, "hybrid": none})
    bare = first.model_copy(update={"energy": energy, "cost": None, "basin": None})
    target = write(
        metrics.model_copy(update={"molecules": [bare], "missing": ["gamma"]}),
        tmp_path / "eval" / "metrics.json",
    )
    stage.curves_of(target).write_bytes(stage.curves_of(path).read_bytes())
    paths = config.paths.model_copy(update={"run": tmp_path})
    result = report.run(config.model_copy(update={"paths": paths}), target)
    assert "gamma" in result.read_text()
    drawn = {path.stem for path in (result.parent / "figures").glob("*.png")}
    assert drawn == {"alpha_temperature", "alpha_coordinates", "alpha_rdf"}


def test_metrics_and_curves_of_two_evaluations_are_refused(reported, tmp_path):
    config, path, _ = reported
    target = write(evaluate.load_metrics(path), tmp_path / "metrics.json")
    with pytest.raises(ArtifactError, match=r"curves\.npz is missing"):
        report.run(_elsewhere(config, tmp_path), target)
    stage.curves_of(target).write_bytes(b"other")
    with pytest.raises(ArtifactError, match="not the one that"):
        report.run(_elsewhere(config, tmp_path), target)
    with pytest.raises(ArtifactError, match="is missing"):
        report.run(config, tmp_path / "nothing.json")


def _elsewhere(config, folder):
    return config.model_copy(update={"paths": config.paths.model_copy(update={"run": folder})})
