"""The report: self-contained, complete, honest about time, and equal for equal metrics."""

import re
import warnings
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.image import imread

from kstep.errors import ArtifactError
from kstep.referee.metrics import Metrics, load_metrics
from kstep.referee.report.captions import CAPTIONS
from kstep.workflow import report
from kstep.workflow import report as stage
from kstep.workflow.evaluate import curves_of
from report_samples import BARE, FULL, write_sample

OF_BARE = {"claims", "energy", "coordinates"}
OF_FULL = CAPTIONS.keys() - {"drift"}
DRAWN = {"drift", *(f"{BARE}_{s}" for s in OF_BARE), *(f"{FULL}_{s}" for s in OF_FULL)}
VOID = {"meta", "img", "br", "link", "hr", "input"}


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
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    config, metrics = write_sample(tmp_path_factory.mktemp("report"))
    return config, metrics, report.run(config, metrics)


@pytest.fixture(scope="module")
def page(reported) -> Page:
    parsed = Page()
    parsed.feed(reported[2].read_text())
    assert not parsed.open
    return parsed


@pytest.fixture(scope="module")
def text(page) -> str:
    return " ".join(" ".join(page.text).split())


def test_the_page_needs_nothing_but_itself(page, reported):
    assert page.sources
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    whole = re.sub(r"base64,[A-Za-z0-9+/=]+", "", reported[2].read_text())
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|\beval\(|console\.", whole)
    pictures = [source for source in page.sources if source.startswith("data:image/svg+xml")]
    assert len(pictures) == len(DRAWN)


def test_every_figure_is_there_as_png_and_svg(reported):
    folder = reported[2].parent / "figures"
    for kind in ("png", "svg"):
        assert {path.stem for path in folder.glob(f"*.{kind}")} == DRAWN
    for path in folder.glob("*.png"):
        image = imread(path)
        assert image.shape[1] > 1000
        assert image[..., :3].std() > 0.02, f"{path} is blank"
    for path in folder.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_verdict_comes_first_and_slowness_is_said(text, reported):
    metrics = load_metrics(reported[1])
    assert metrics.sentence in text
    assert text.index(metrics.sentence) < text.index("Claim by claim")
    assert "8 times SLOWER than plain MD" in text
    assert "breaks even when a force call costs" in text
    for heading in ("(kJ/mol)", "(K)", "(nats)", "SHA-256", "(J/mol/ps per atom)", "(1/cm)"):
        assert heading in text
    for value in metrics.source_hashes.values():
        assert value in text


def test_every_claim_is_answered_with_all_its_checks(text, reported):
    for molecule in load_metrics(reported[1]).molecules:
        for claim in molecule.verdict.claims:
            assert f"{claim.name}: {claim.outcome.value}." in text
            assert claim.sentence[1:] in text
            for check in claim.checks:
                assert check.label in text
    assert "about 3.2 ns more of both would" in text


def test_what_was_not_measured_is_said(text):
    assert "Not scored, because a trajectory is missing or broken: gamma." in text
    start = text.index("Not measured:")
    said = text[start : start + 400]
    for subject in ("no velocities", "one temperature only", "no timing file", "no controls"):
        assert subject in said
    assert text.count("Not measured:") == 1


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


def test_metrics_of_an_empty_trajectory_are_reported_too(reported, tmp_path):
    """No window, no coordinate, no check, no reason: shorter, still whole."""
    config, path, _ = reported
    metrics = load_metrics(path)
    (bare,) = (molecule for molecule in metrics.molecules if molecule.name == BARE)
    nothing = bare.energy.candidate.model_copy(update={
        "windows": [], "size": None, "median_drift": None, "lower_quartile": None,
        "upper_quartile": None, "median_drift_meV": None, "median_fluctuation": None,
        "largest_excursion": None, "kinetic_slope": None,
    })  # fmt: skip
    claims = [claim.model_copy(update={"checks": []}) for claim in bare.verdict.claims]
    empty = bare.model_copy(update={
        "energy": bare.energy.model_copy(update={"baseline": nothing, "candidate": nothing}),
        "structure": bare.structure.model_copy(update={"coordinates": []}),
        "verdict": bare.verdict.model_copy(update={"claims": claims}),
        "name": "empty",
    })  # fmt: skip
    target = write(metrics.model_copy(update={"molecules": [empty]}), tmp_path / "metrics.json")
    curves_of(target).write_bytes(curves_of(path).read_bytes())
    result = report.run(_elsewhere(config, tmp_path), target)
    assert "empty" in result.read_text()
    assert not list(result.parent.glob("figures/*"))


def test_metrics_and_curves_of_two_evaluations_are_refused(reported, tmp_path):
    config, path, _ = reported
    target = write(load_metrics(path), tmp_path / "metrics.json")
    with pytest.raises(ArtifactError, match=r"curves\.npz is missing"):
        report.run(_elsewhere(config, tmp_path), target)
    curves_of(target).write_bytes(b"other")
    with pytest.raises(ArtifactError, match="not the one that"):
        report.run(_elsewhere(config, tmp_path), target)
    with pytest.raises(ArtifactError, match="is missing"):
        report.run(config, tmp_path / "nothing.json")


def _elsewhere(config, folder):
    return config.model_copy(update={"paths": config.paths.model_copy(update={"run": folder})})


def test_warnings_of_plotting_libraries_stay_off_the_terminal(tmp_path, monkeypatch):
    def draw(*_):
        warnings.warn("identical low and high xlims", UserWarning, stacklevel=2)
        return iter(())

    config, metrics = write_sample(tmp_path)
    monkeypatch.setattr(stage, "draw_all", draw)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        stage.run(config, metrics)
    assert heard == []
