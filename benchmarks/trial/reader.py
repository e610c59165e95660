"""Someone who decides on the page of a study by keys, in a real browser."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.browser import Page

SHOWN = "order.filter(p => !p.entry.hidden).map(p => p.id)"


class Reader:
    """A browser with the page open; `pictures` is a folder for PNGs of what is seen, or None."""

    def __init__(self, program: str, page: Path, pictures: Path | None) -> None:
        self.browser, self.pictures = Page(program, (1400, 1000)), pictures
        self.browser.open(page)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.browser.__exit__(kind, error, trace)

    def see(self, name: str) -> None:
        """Save what is seen."""
        if self.pictures is not None:
            self.browser.picture(self.pictures / f"{name}.png")

    def decide_all(self) -> float:
        """Go through all pairs from the worst on; return the seconds that it took."""
        began = time.perf_counter()
        self.browser.wait_for("document.body.dataset.painted === 'yes'")
        self.see("page")
        count = self.browser.value("pairs.length")
        self.browser.click("#lines .name, #cards .name")
        for k in range(count):
            self.browser.wait_for(
                "$('dialog').classList.contains('bare') || document.querySelector('#tiles canvas') !== null"
            )
            status, words = self.browser.value(
                "[$('verdict').className, byId.get($('name').textContent).hints.map(([word]) => word)]"
            )
            if words:
                self.see(f"hint-{k}")
            self.browser.key("r" if status in ("error", "failed", "lost") else "u" if words else "a")
            if words:
                self.write_note(words[0])
            self.browser.key("ArrowRight")
        self.see("dialog")
        self.browser.key("Escape")
        self.browser.click("#close")
        self.see("decided")
        return time.perf_counter() - began

    def write_note(self, text: str) -> None:
        """Press n, type, and end the note with Enter."""
        self.browser.key("n")
        self.browser.wait_for("document.activeElement.id === 'note'")
        self.browser.tell("Input.insertText", text=text)
        self.browser.key("Enter", "\r")

    def tally(self) -> str:
        """Return what the page says of the decisions."""
        return self.browser.value("$('tally').textContent")

    def decisions(self) -> dict[str, Any]:
        """Return decision and note of each pair."""
        return self.browser.value(
            "Object.fromEntries(ids.map(id => [id, [decisions.of(id).decision, decisions.of(id).note]]))"
        )

    def sorted_by(self, measure: str) -> list[str]:
        """Sort, largest first; return the ids in order."""
        self.choose("sort", measure)
        self.browser.click("#reverse")
        self.see(f"by-{measure}")
        return self.browser.value(SHOWN)

    def filtered(self, decision: str) -> list[str]:
        """Show the pairs with a decision alone; return their ids."""
        self.choose("decided", decision)
        self.see(decision)
        return self.browser.value(SHOWN)

    def choose(self, menu: str, value: str) -> None:
        """Choose from a menu."""
        self.browser.value(f"$('{menu}').value = {json.dumps(value)}; $('{menu}').dispatchEvent(new Event('change'))")

    def export(self, place: Path) -> None:
        """Press the button, and wait for the file that the browser saves."""
        self.browser.tell("Page.setDownloadBehavior", behavior="allow", downloadPath=str(place.parent.absolute()))
        self.browser.click("#export")
        end = time.perf_counter() + 20
        while not place.is_file() and time.perf_counter() < end:
            time.sleep(0.1)

    def take(self, table: Path) -> str:
        """Import a table by the file input; return what the page says."""
        found = self.browser.tell("Runtime.evaluate", expression="$('import')")["result"]["objectId"]
        self.browser.tell("DOM.setFileInputFiles", files=[str(table.absolute())], objectId=found)
        self.browser.wait_for("$('imported').textContent !== ''")
        return self.browser.value("$('imported').textContent")
