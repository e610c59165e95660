"""A headless Chromium, spoken to through its pipe in the DevTools protocol: enough to open a page and touch it."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"),
)


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab. `said` and `asked`: what the console and the log said and what was fetched, since a page was opened."""

    def __init__(self, program: str, size: tuple[int, int] = (1400, 900)) -> None:
        self.profile = tempfile.TemporaryDirectory(prefix="stnreg-chromium-", ignore_cleanup_errors=True)
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        def place() -> None:  # Chromium reads from 3 and writes to 4
            os.dup2(os.dup(to_read), 3)
            os.dup2(os.dup(to_write), 4)

        if (to_read, to_write) != (3, 4):
            high = [os.dup(fd) for fd in (to_read, to_write)]
            os.close(to_read)
            os.close(to_write)
            to_read, to_write = high
        self.process = subprocess.Popen(
            [program, *QUIET, f"--user-data-dir={self.profile.name}", f"--window-size={size[0]},{size[1]}"],
            preexec_fn=place,
            pass_fds=(3, 4, to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.number, self.rest, self.session = 0, b"", ""
        self.said: list[str] = []
        self.asked: list[str] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def __enter__(self) -> "Page":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(10)
        os.close(self.to)
        os.close(self.back)
        self.profile.cleanup()

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer; events that come in between are noted."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def open(self, path: Path, ready: str = "document.body && document.body.dataset.ready === 'yes'") -> float:
        """Open a file and wait until `ready`; return the seconds it took."""
        self.said, self.asked = [], []
        began = time.perf_counter()
        self.tell("Page.navigate", url=path.absolute().as_uri())
        self.wait_for(ready)
        return time.perf_counter() - began

    def wait_for(self, expression: str, patience_s: float = 60) -> None:
        """Wait until an expression is true."""
        end = time.perf_counter() + patience_s
        while not self.value(expression):
            if time.perf_counter() > end:
                raise TimeoutError(f"{expression} did not become true; the console said {self.said}")
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """Evaluate JavaScript in the page."""
        found = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def click(self, selector: str, at: tuple[float, float] = (0.5, 0.5)) -> None:
        """Click on an element, at a share of its width and height, as a mouse does."""
        x, y = self._point(selector, at)
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def scroll(self, selector: str, steps: int) -> None:
        """Turn the wheel over an element."""
        x, y = self._point(selector, (0.5, 0.5))
        for _ in range(abs(steps)):
            delta = 100 if steps > 0 else -100
            self.tell("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)

    def key(self, name: str, text: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.tell("Input.dispatchKeyEvent", type=kind, key=name, text=text if kind == "keyDown" else "")

    def picture(self, path: Path) -> None:
        """Save what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"]))

    def printed(self) -> bytes:
        """Return the page as it prints, a PDF."""
        return base64.b64decode(self.tell("Page.printToPDF", printBackground=False)["data"])

    def _point(self, selector: str, at: tuple[float, float]) -> tuple[float, float]:
        code = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect(); "
            "return [b.left, b.top, b.width, b.height]; })()"
        )
        left, top, width, height = self.value(code)
        return left + at[0] * width, top + at[1] * height

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            chunk = os.read(self.back, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium has gone")
            self.rest += chunk
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled":
                self.said.append(str([argument.get("value") for argument in told["args"]]))
            case "Runtime.exceptionThrown":
                self.said.append(str(told["exceptionDetails"]))
            case "Log.entryAdded":
                self.said.append(told["entry"]["text"])
            case "Network.requestWillBeSent":
                self.asked.append(told["request"]["url"][:80])
