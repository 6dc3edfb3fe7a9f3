"""How fast the pages are against a large archive, in a real browser.

    python -m benchmarks.pages [--images 200000] [--keep FOLDER] [--rows 10000]

Serves an archive of so many images (`benchmarks.queries` keeps it), and opens the pages in a
headless Chromium. Prints and checks:

- **rows**: from a click on a table's page or the head of a column to the new rows on screen, at the
  95th percentile over all tables and columns; each question is asked once, so no answer is from a
  cache of the browser. At most 300 ms.
- **tasks**: the longest task of the main thread while the table of images is scrolled through
  10,000 rows, which come by the hundred meanwhile. At most 50 ms.
- **scripting**: of all scripts in a frame of that, without the layout that they wait for (it is a
  script that scrolls the table, and has to know where it is), at the 95th percentile. At most 8 ms.
- **heap**: of JavaScript, after it. At most 100 MB.

Exit status 1 where one is over. The rows are timed by the clock. Tasks and scripting are read from
Chromium's own trace, as processor time of the thread: what else runs on the machine does not count.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from websockets.sync.client import connect

from benchmarks.data_folder import DATA, add_data_folder, data_folder
from benchmarks.load import _served
from benchmarks.queries import archive

LIMITS = {"rows": 300.0, "tasks": 50.0, "scripting": 8.0, "heap": 100.0}
_UNITS = {"rows": "ms", "tasks": "ms", "scripting": "ms", "heap": "MB"}
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--window-size=1440,900", "--enable-precise-memory-info",
    "--js-flags=--expose-gc", "--remote-allow-origins=*",
)  # fmt: skip
_TRACE = {
    "transferMode": "ReportEvents",
    "traceConfig": {
        "includedCategories": ["devtools.timeline", "toplevel", "v8"],
        "recordMode": "recordUntilFull",
        "traceBufferSizeInKb": 400_000,
    },
}
_TABLES = ("Patients", "Studies", "Series", "Images")
_LAYOUT = {"Layout", "UpdateLayoutTree"}
_SCRIPTS = {
    "FunctionCall", "EvaluateScript", "RunMicrotasks", "TimerFire", "FireAnimationFrame",
    "EventDispatch", "MinorGC", "MajorGC",
}  # fmt: skip

CLICK = """
const [selector, text, done] = arguments;
const all = [...document.querySelectorAll(selector)];
const found = all.find(each => each.innerText.startsWith(text));
if (!found) { done(null); return; }
const before = location.href, start = performance.now();
found.click();
performance.clearResourceTimings();
const look = () => {
  const table = document.querySelector('.grid table');
  const rows = document.querySelectorAll('.grid tbody tr:not(.spare)').length;
  const isNew = table && table.ariaBusy === 'false' && !table.classList.contains('dim');
  // The rows of the last question are still there when the address has changed already.
  const isAnswered = performance.getEntriesByType('resource')
    .some(each => each.name.endsWith('/graphql') && each.startTime > start);
  if (location.href !== before && isAnswered && rows && isNew)
    requestAnimationFrame(() => done(performance.now() - start));
  else if (performance.now() - start > 30000) done(30000);
  else requestAnimationFrame(look);
};
look();
"""
SCROLL = """
const [wanted, done] = arguments;
const grid = document.querySelector('.grid');
const until = performance.now() + 120000;
const step = () => {
  const rows = document.querySelectorAll('.grid tbody tr[aria-rowindex]');
  const last = +(rows[rows.length - 1]?.getAttribute('aria-rowindex') ?? 0);
  grid.scrollTop += 240;
  if (last >= wanted || performance.now() > until) done(last);
  else requestAnimationFrame(step);
};
requestAnimationFrame(step);
"""


class Event(NamedTuple):
    """Something the main thread did, in ms of its own processor time."""

    name: str
    start: float
    end: float


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A headless browser."""
    options = webdriver.ChromeOptions()
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        browser.set_script_timeout(600)
        try:
            yield browser
        finally:
            browser.quit()


def rows_on_screen(browser: webdriver.Chrome, url: str) -> list[float]:
    """Milliseconds from each click to its rows."""
    browser.get(f"{url}/patients")
    time.sleep(3)
    found = []
    for table in _TABLES[1:]:
        found.append(_click(browser, ".nav a", table))
        heads = browser.execute_script(
            "return [...document.querySelectorAll('th .sort')].map(each => each.innerText)"
        )
        for head in heads:
            # Upwards, downwards.
            found += [_click(browser, "th .sort", head.split("\n")[0]) for _ in range(2)]
    return [each for each in found if each is not None]


def _click(browser: webdriver.Chrome, selector: str, text: str) -> float | None:
    taken: float | None = browser.execute_async_script(CLICK, selector, text)
    return taken


def scroll(browser: webdriver.Chrome, url: str, rows: int) -> tuple[int, list[Event]]:
    """How far the table of images was scrolled, and what the main thread did meanwhile."""
    browser.get(f"{url}/images")
    time.sleep(3)
    with traced(browser) as events:
        reached = int(browser.execute_async_script(SCROLL, rows))
    return reached, events


@contextmanager
def traced(browser: webdriver.Chrome) -> Iterator[list[Event]]:
    """What the thread of the page's scripts does in the block; known after it.

    Asked of the browser itself: the log of its driver drops most of a long trace.
    """
    debugger = browser.capabilities["goog:chromeOptions"]["debuggerAddress"]
    pages = httpx.get(f"http://{debugger}/json").json()
    page = next(e for e in pages if e["id"] == browser.current_window_handle)
    events: list[Event] = []
    with connect(page["webSocketDebuggerUrl"], max_size=None) as socket:
        socket.send(json.dumps({"id": 1, "method": "Tracing.start", "params": _TRACE}))
        while "id" not in json.loads(socket.recv()):
            pass
        yield events
        socket.send(json.dumps({"id": 2, "method": "Tracing.end"}))
        raw: list[dict[str, Any]] = []
        while (message := json.loads(socket.recv())).get("method") != "Tracing.tracingComplete":
            raw += message.get("params", {}).get("value", [])
    events += _of_main_thread(raw)


def _of_main_thread(raw: list[dict[str, Any]]) -> list[Event]:
    scripted = [e["tid"] for e in raw if e.get("name") == "FireAnimationFrame"]
    if not scripted:
        return []
    thread = statistics.mode(scripted)
    return sorted(
        (
            Event(e["name"], e["tts"] / 1000, (e["tts"] + e["tdur"]) / 1000)
            for e in raw
            if e.get("ph") == "X" and e.get("tid") == thread and "tdur" in e
        ),
        key=lambda event: event.start,
    )


def longest_task(events: Sequence[Event]) -> float:
    """Milliseconds of the longest task."""
    tasks = [e.end - e.start for e in events if e.name.endswith("RunTask")]
    return max(tasks, default=0.0)


def scripting(events: Sequence[Event]) -> list[float]:
    """Milliseconds of scripts, without layout, from each animation frame to the next."""
    frames = [e.start for e in events if e.name == "FireAnimationFrame"]
    found = [0.0] * len(frames)
    place, script_until, layout_until = -1, 0.0, 0.0
    for event in events:
        while place + 1 < len(frames) and frames[place + 1] <= event.start:
            place += 1
        if place < 0:
            continue
        if event.name in _SCRIPTS and event.end > script_until:
            found[place] += event.end - max(event.start, script_until)
            script_until = event.end
        elif event.name in _LAYOUT and layout_until < event.end <= script_until:
            found[place] -= event.end - max(event.start, layout_until)
            layout_until = event.end
    return found


def heap(browser: webdriver.Chrome) -> float:
    """MB of the heap of JavaScript, collected."""
    browser.execute_script("gc(); gc();")
    return float(browser.execute_script("return performance.memory.usedJSHeapSize")) / 1e6


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which so great a part of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def main() -> int:
    """Print the figures; returns 1 where one is over its limit."""
    options = _options()
    with ExitStack() as stack:
        kept = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(archive(kept, None, options.images, options.data))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, _ = stack.enter_context(
            _served(str(database.url.render_as_string(hide_password=False)), 1, folder)
        )
        browser = stack.enter_context(chromium())
        times = rows_on_screen(browser, address)
        reached, events = scroll(browser, address, options.rows)
        used = heap(browser)
    frames = scripting(events)
    figures = {
        "rows": percentile(times, 0.95),
        "tasks": longest_task(events),
        "scripting": percentile(frames, 0.95) if frames else 0.0,
        "heap": used,
    }
    print(f"rows: median {statistics.median(times):.0f} ms of {len(times)} clicks")
    print(f"scrolled to row {reached} in {len(frames)} frames")
    over = False
    for name, value in figures.items():
        is_over = value > LIMITS[name]
        over |= is_over
        print(
            f"{name:<10} {value:7.1f} {_UNITS[name]}, at most {LIMITS[name]:g}{' OVER' * is_over}"
        )
    return int(over)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="a folder in which the archive stays")
    add_data_folder(parser, DATA)
    options = parser.parse_args()
    options.data = data_folder(parser, options)
    return options


if __name__ == "__main__":
    raise SystemExit(main())
