"""The browser, and the report to look at."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from devtools import Chromium, find_browser

from kstep.workflow import report
from report_samples import write_sample


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_browser()
    if program is None:
        reason = "no Chromium or Chrome on PATH: install one (Debian: apt-get install chromium)"
        # Where .ci/run could install one, a check that is skipped would be no check.
        (pytest.fail if os.environ.get("KSTEP_BROWSER") else pytest.skip)(reason)
    chromium = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.run(*write_sample(tmp_path_factory.mktemp("run")))
