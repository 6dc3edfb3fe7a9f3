"""The pages in a real browser, on a server that executes their own operations alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

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

    def drop(self, selector: str, path: Path) -> None:
        """Drag a file or folder of this computer to the middle of an element, and let it go."""
        self.until(f"return !!document.querySelector({selector!r})")
        x, y = self.script(
            "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + 12]",
            selector,
        )
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for step in ("dragEnter", "dragOver", "dragOver", "dragOver", "drop"):
            event = {"type": step, "x": x, "y": y, "data": data}
            self.browser.execute_cdp_cmd("Input.dispatchDragEvent", event)

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


def test_a_filter_is_typed_or_taken_from_a_value(pages: Pages) -> None:
    """Each way to the same list; the address has it all."""
    pages.log_in("anna")

    def shown(*filters: str) -> str:
        query = "&".join(f"f={quote(each)}" for each in filters)
        return re.sub(r"\s+", " ", pages.go(f"/series?{query}"))

    # Alternatives, not, levels, depth; all filters together.
    assert "Series 2" in shown("series.echoTime=3.5 | series.echoTime=30")
    assert "Series 1" in shown("series.echoTime=3.5 | series.echoTime=30", "!image.number=5")
    assert "Series 1" in shown("element.ScheduledProcedureStepID=deep7")
    assert "No series match" in shown("header.ScheduledProcedureStepID=deep7")
    assert "Series 1" in shown("header.RequestAttributesSequence[0].ScheduledProcedureStepID=deep7")
    text = shown("csa.B_value>0", "every.rows=8")
    assert "CSA B_value > 0" in text
    assert "every image" in text
    assert "without every.rows=8" in text
    # From a value of the row that the keyboard has chosen: only these, and without that, not these.
    shown()
    pages.see("Series 2")
    body = pages.browser.find_element(By.TAG_NAME, "body")
    body.send_keys("j")
    pages.until("return !!document.querySelector('.grid .is-focus')")
    value = pages.script("return document.querySelector('.grid .is-focus .c-ser a').innerText")
    other = {"localizer": "bold run", "bold run": "localizer"}[value]
    echo_time = {"localizer": "3.5", "bold run": "30"}[value]
    pages.click(f".grid .is-focus button[aria-label='only {echo_time}']")
    pages.see("Series 1")
    assert value in pages.text()
    pages.browser.back()
    pages.see("Series 2")
    pages.click(f".grid .is-focus button[aria-label='not {echo_time}']")
    pages.see("Series 1")
    assert other in pages.text()
    assert f"f=%21series.echoTime%3D{echo_time}" in pages.browser.current_url
    assert pages.errors() == []


def test_columns_are_kept(pages: Pages) -> None:
    """Any element, nested ones too, in the address, and for the next visit."""
    pages.log_in("anna", "/series?panel=columns")
    field = "[aria-label='Add a column']"
    pages.until(f'return !!document.querySelector("{field}")')
    pages.browser.find_element(By.CSS_SELECTOR, field).send_keys("ReceiveCoil")
    pages.until("return /ReceiveCoilName/.test(document.querySelector('.complete')?.innerText)")
    pages.browser.find_element(By.CSS_SELECTOR, field).send_keys(Keys.ENTER)
    pages.see("Head32")
    assert "%40ReceiveCoilName" in pages.browser.current_url
    assert "Head32" in pages.go("/series")
    nested = "@RequestAttributesSequence[0].ScheduledProcedureStepID"
    assert "deep7" in pages.go(f"/series?c=modality,{quote(nested)}&s={quote('-' + nested)}")
    first = pages.script("return document.querySelector('.grid tbody tr').innerText")
    assert "bold run" in first
    pages.script("localStorage.clear()")
    assert "Head32" not in pages.go("/series")


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


def test_nobody_is_shown_what_they_may_not_do(pages: Pages) -> None:
    pages.log_in("vera", "/imports")
    assert "Start an import" not in pages.text()
    pages.see("vera · viewer")
    pages.log_in("anna", "/imports")
    pages.see("Start an import")
    pages.see("import root")


def test_a_user_without_identities_reads_none(pages: Pages) -> None:
    pages.log_in("blind")
    for address in ("/", "/patients", "/studies", "/series?panel=code", "/images", "/quality",
                    "/explore?of=patient", "/elements", "/search?q=localizer"):  # fmt: skip
        text = pages.go(address)
        assert not [each for each in IDENTITIES if each in text], address
    assert "protocol" not in pages.go("/quality")
    pages.go("/series")
    pages.click(".grid tbody td.c-ser a")
    pages.see("Constant")
    text = pages.text()
    assert not [each for each in IDENTITIES if each in text]
    # The header, and two of them compared.
    pages.click('.actions a[href*="/images/"]')
    pages.see("Echo Time")
    text = pages.text()
    assert not [each for each in IDENTITIES if each in text]
    pages.go("/images")
    for row in (1, 2):
        pages.click(f".grid tbody tr:nth-child({row}) input")
    pages.browser.find_element(By.TAG_NAME, "body").send_keys("d")
    pages.see("elements differ")
    text = pages.text()
    assert not [each for each in IDENTITIES if each in text]


def test_whoever_sees_no_patient_is_told_so(pages: Pages) -> None:
    """A user of no group, on each page: nothing of the archive, and no error."""
    pages.log_in("lena")
    withheld = (*IDENTITIES, "bold run", "localizer")
    for address in ADDRESSES:
        text = pages.go(address)
        # But for what the address itself says.
        assert not [each for each in withheld if each in text and each not in address], address
        assert not pages.script("return !!document.querySelector('[role=alert]')"), address
    assert "No series yet" in pages.go("/series")


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
