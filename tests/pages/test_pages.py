"""The pages in a real browser, on a server that executes their own operations alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydicom import dcmread
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.pages.conftest import IDENTITIES
from tests.support.people import PASSWORD
from tests.support.served_archive import Archive

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
ADDRESSES = (
    "/", "/patients", "/patients/QX-4711", "/studies", "/studies/1.2.3", "/series",
    "/series/1.2.3.1", "/images", "/series?panel=columns", "/search?q=bold", "/elements",
    "/explore?and=echoTime&pick=series.modality%3DMR", "/imports", "/quality", "/compare",
)  # fmt: skip
WAIT_S = 30


class Pages:
    """What a person does with the pages."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        self._wait = WebDriverWait(browser, WAIT_S)

    def log_in(self, name: str, next: str = "/") -> None:
        """Through the form, to which a page leads whoever has no session."""
        self.browser.delete_all_cookies()
        self.browser.get(self.url + next)
        self.browser.find_element(By.NAME, "name").send_keys(name)
        self.browser.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)
        self.until("return location.pathname != '/login'")

    def go(self, address: str) -> str:
        """Open an address; returns the text of the page once nothing is loading."""
        self.browser.get(self.url + address)
        return self.text()

    def text(self) -> str:
        """The text of the page once nothing is loading."""
        self.until(
            "return !!document.querySelector('main h1, main .empty')"
            " && !/Loading /.test(document.querySelector('main').innerText)"
        )
        found: str = self.script("return document.body.innerText")
        return found

    def until(self, condition: str) -> None:
        """Wait until a script returns true."""
        self._wait.until(lambda _: self.script(condition), condition + self.browser.current_url)

    def see(self, text: str) -> None:
        """Wait until the page has a text."""
        self._wait.until(lambda _: text in self.script("return document.body.innerText"), text)

    def script(self, body: str, *arguments: Any) -> Any:
        return self.browser.execute_script(body, *arguments)

    def click(self, selector: str) -> None:
        """A click on the first that matches, when it is there."""
        self.until(f"return !!document.querySelector({selector!r})")
        self.script("document.querySelector(arguments[0]).click()", selector)

    def errors(self) -> list[str]:
        """What the console tells of scripts and of the content security policy."""
        entries: list[dict[str, Any]] = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [e["message"] for e in entries if "javascript" in e["source"] or "Polic" in str(e)]


@pytest.fixture(scope="module")
def pages(browser: Chrome, archive: Archive) -> Iterator[Pages]:
    browser.switch_to.new_window("tab")
    yield Pages(browser, archive.server.url)
    browser.get("about:blank")


def test_from_a_filter_to_the_header(pages: Pages, archive: Archive) -> None:
    """A deep address survives the login; a typed element finds its series; its header says so."""
    pages.log_in("anna", "/series?f=series.modality%3DMR")
    pages.see("Series 2")
    pages.browser.find_element(By.TAG_NAME, "body").send_keys("f")
    pages.until("return !!document.querySelector('[aria-label=\"New filter\"]')")
    field = pages.browser.find_element(By.CSS_SELECTOR, '[aria-label="New filter"]')
    field.send_keys("ReceiveCoilName=Head32", Keys.ENTER)
    pages.see("Series 1")
    assert "any image, any depth" in pages.text()
    assert "ReceiveCoilName" in pages.browser.current_url
    pages.browser.back()
    pages.see("Series 2")
    pages.browser.forward()
    pages.see("Series 1")
    pages.browser.refresh()
    pages.see("Series 1")
    pages.click(".grid tbody td.c-ser a")
    pages.see("bold run")
    pages.see("Field of view")
    assert "24 × 24" not in pages.text()
    assert urlsplit(pages.browser.current_url).path == "/series/1.2.3.2"
    pages.click('.actions a[href*="/images/"]')
    pages.see("Head32")
    data_set = dcmread(archive.files["second0"], stop_before_pixels=True)
    text = pages.go(f"/images/{data_set.SOPInstanceUID}?find=coil")
    assert "Head32" in text
    assert "Echo Time" not in text
    assert pages.errors() == []


def test_what_varies_and_what_does_not(pages: Pages) -> None:
    pages.log_in("anna")
    pages.go("/series/1.2.3.1")
    pages.see("TriggerTime")
    pages.until("return document.querySelectorAll('.plot-of-values canvas').length > 0")
    row = pages.script(
        "return [...document.querySelectorAll('.varies tr')]"
        ".find(row => row.innerText.includes('TriggerTime')).innerText"
    )
    assert re.split(r"\s+", row.strip())[-3:] == ["0", "50", "6"]
    assert pages.errors() == []


def test_two_headers_differ_where_their_files_do(pages: Pages, archive: Archive) -> None:
    pages.log_in("anna")
    both = [dcmread(archive.files[n], stop_before_pixels=True) for n in ("first1", "second1")]
    text = pages.go("/compare?" + "&".join(f"uid={each.SOPInstanceUID}" for each in both))
    assert "localizer" in text
    assert "bold run" in text
    assert "not there" in text
    assert "Quxley" in text  # above the columns: whose they are
    names = pages.script(
        "return [...document.querySelectorAll('.diff tbody td:first-child')].map(e => e.innerText)"
    )
    assert any("Echo Time" in name for name in names)
    rows = pages.script("return [...document.querySelectorAll('.diff tr')].map(e => e.innerText)")
    assert [row for row in rows if re.search(r"Echo Time\t.*\t3\.5\t30(\.0)?\t\+757 %", row)], rows
    assert [row for row in rows if re.search(r"\tnot there\tHead32", row)], rows
    # UIDs are counted, and there when asked for; what is equal, too.
    pages.click(".actions input[type=checkbox]")
    pages.see("SOP Instance UID")
    pages.click(".actions .seg button:last-child")
    pages.browser.find_element(By.CSS_SELECTOR, ".diff thead input").send_keys("(0010,0010)")
    pages.see("Patient's Name")
    assert "Echo Time" not in pages.text()
    assert not any("Patient's Name" in name for name in names)


def test_series_are_held_against_a_protocol(pages: Pages) -> None:
    pages.log_in("anna", "/quality?f=series.description%3Dlocalizer")
    pages.see("No protocol is kept here")
    pages.click("main [aria-expanded=false].btn.small")
    pages.until("return !!document.querySelector('.make input')")
    name, elements = pages.browser.find_elements(By.CSS_SELECTOR, ".make input[type=text]")
    elements.send_keys(Keys.CONTROL, "a")
    elements.send_keys("EchoTime Rows")
    name.send_keys("As the localizer", Keys.ENTER)
    pages.see("1 of 1 series as As the localizer wants them")
    # Without the filter also the other, which has another echo time and as many rows.
    pages.click(".hold .chip .x")
    pages.see("1 of 2 series")
    cells = pages.script(
        "return [...document.querySelectorAll('.cross td a')].map(e => e.innerText)"
    )
    assert cells == ["1 of 2"]
    rows = pages.script(
        "return [...document.querySelectorAll('.deviations tbody tr')].map(e => e.innerText)"
    )
    assert len(rows) == 1
    assert re.search(r"bold run.*EchoTime.*3\.5.*30", rows[0], re.DOTALL)
    pages.log_in("blind", "/quality")
    assert "protocol" not in pages.text()


def test_nobody_is_shown_what_they_may_not_do(pages: Pages) -> None:
    pages.log_in("vera", "/imports")
    assert "Start an import" not in pages.text()
    pages.see("vera · viewer")
    pages.log_in("anna", "/imports")
    pages.see("Start an import")
    pages.see("import root")


def test_a_user_without_identities_reads_none(pages: Pages) -> None:
    pages.log_in("blind")
    for address in ("/", "/patients", "/studies", "/series", "/images", "/quality"):
        text = pages.go(address)
        assert not [each for each in IDENTITIES if each in text], address
    pages.go("/series")
    pages.click(".grid tbody td.c-ser a")
    pages.see("Constant")
    text = pages.text()
    assert not [each for each in IDENTITIES if each in text]


def test_a_server_that_comes_back_is_found(pages: Pages) -> None:
    pages.log_in("anna", "/series")
    pages.see("localizer")
    pages.browser.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    pages.browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        pages.click(".facet button")
        pages.see("it is asked again until it answers")
        assert "localizer" in pages.script("return document.body.innerText")
    finally:
        online = offline | {"offline": False}
        pages.browser.execute_cdp_cmd("Network.emulateNetworkConditions", online)
    pages.until("return !document.querySelector('.lost')")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(pages: Pages, theme: str) -> None:
    if not AXE.is_file():
        pytest.skip("no axe-core: run `npm ci` in frontend/")
    pages.log_in("anna")
    pages.script("localStorage.setItem('dicom-graph:theme', arguments[0])", theme)
    source = AXE.read_text()
    found = {}
    for address in ADDRESSES:
        pages.go(address)
        pages.script(source)
        violations = pages.browser.execute_async_script(
            "const done = arguments[0]; axe.run().then(result => done(result.violations.map("
            "each => [each.id, each.nodes[0].target.join(' '), each.nodes[0].failureSummary])))"
        )
        if violations:
            found[address] = violations
    pages.script("localStorage.removeItem('dicom-graph:theme')")
    assert found == {}
