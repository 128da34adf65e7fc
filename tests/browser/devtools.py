"""A real Chromium, driven over its DevTools pipe with the standard library alone."""

import fcntl
import json
import os
import select
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-extensions",
         "--disable-background-networking", "--disable-component-update",
         "--remote-debugging-pipe")  # fmt: skip
PATIENCE_S = 120.0
"""How long to wait for an answer: CI machines are slow and shared."""

Message = dict[str, Any]


def find_browser() -> str | None:
    """Path of an installed Chromium or Chrome."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """A browser process. Messages are JSON, each closed by a zero byte, on its files 3 and 4."""

    def __init__(self, program: str, folder: Path) -> None:
        ours_in, theirs_out = _pipe()
        theirs_in, ours_out = _pipe()
        # Root, as in containers, may not use the sandbox; the pages are our own.
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        log = os.O_CREAT | os.O_WRONLY
        self._pid = os.posix_spawn(
            program,
            [program, *FLAGS, *sandbox, f"--user-data-dir={folder / 'profile'}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs_in, 3),
                (os.POSIX_SPAWN_DUP2, theirs_out, 4),
                (os.POSIX_SPAWN_OPEN, 2, str(folder / "chromium.log"), log, 0o644),
            ],
            setpgroup=0,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        self._unread = b""
        self._calls = 0
        self.events: list[Message] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> Message:
        """Send a command and wait for its answer; events met on the way are kept."""
        self._calls += 1
        message: Message = {"id": self._calls, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, event: str, session: str) -> None:
        """Wait until a page has sent an event."""
        while not any(e["method"] == event and e.get("sessionId") == session for e in self.events):
            self.events.append(self._next())

    def close(self) -> None:
        """End the browser and all its processes."""
        os.close(self._out)
        os.close(self._in)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _next(self) -> Message:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            received = os.read(self._in, 1 << 20)
            assert received, "the browser has ended"
            self._unread += received
        text, _, self._unread = self._unread.partition(b"\0")
        return json.loads(text)


class Tab:
    """One page in the browser, and everything it complained about."""

    def __init__(self, browser: Chromium, width: int) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = attached["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")
        self.resize(width)

    def call(self, method: str, **params: Any) -> Message:
        """A command to this page."""
        return self._browser.call(method, self._session, **params)

    def resize(self, width: int) -> None:
        """Give the window another width, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip

    def open(self, path: Path) -> None:
        """Load a file and wait until all of it is there."""
        self.call("Page.navigate", url=path.as_uri())
        self._browser.wait_for("Page.loadEventFired", self._session)

    def run(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Console output, uncaught exceptions, failed requests and requests to the network."""
        own = (e for e in self._browser.events if e.get("sessionId") == self._session)
        return [text for event in own if (text := _complaint(event["method"], event["params"]))]


def _complaint(method: str, params: Message) -> str | None:
    if method == "Runtime.consoleAPICalled":
        return f"console {params['type']}: {[a.get('value') for a in params['args']]}"
    if method == "Runtime.exceptionThrown":
        return f"exception: {params['exceptionDetails'].get('exception', params)}"
    if method == "Log.entryAdded":
        return f"log {params['entry']['level']}: {params['entry']['text']}"
    if method == "Network.loadingFailed":
        return f"not loaded: {params['errorText']}"
    if method == "Network.requestWillBeSent":
        url = params["request"]["url"]
        return None if url.startswith(("file:", "data:")) else f"asked the network: {url}"
    return None


def _pipe() -> tuple[int, int]:
    """A pipe whose ends do not clash with the numbers that the browser wants."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
