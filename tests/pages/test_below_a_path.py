"""From a folder that is dropped to a NIfTI that is saved, in a server below a path of another."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from dicom_graph.settings import Settings
from dicom_graph.web.app import create_app
from tests.pages.test_pages import Pages
from tests.support.slices import make_slices
from tests.web.test_mounted import host, serving

pytestmark = pytest.mark.slow
CREATOR = "ACME LAB 1"


def files(folder: Path) -> list[Path]:
    """Two series; a private element tells one of them from the other."""
    person = {"PatientName": "Quxley^Ann", "PatientID": "QX-4711", "StudyInstanceUID": "1.2.3"}
    both = [
        make_slices(
            folder / name, np.arange(float(n)) * 3, size=(8, 8), SeriesDescription=name,
            SeriesInstanceUID=f"1.2.3.{number}", Modality="MR", **person,
        )
        for number, (name, n) in enumerate((("plain", 115), ("marked", 5)))
    ]  # fmt: skip
    for path in both[1]:
        data_set = dcmread(path)
        data_set.private_block(0x0019, CREATOR, create=True).add_new(0x10, "LO", "seven")
        data_set.save_as(path)
    return [path for paths in both for path in paths]


@pytest.fixture
def pages(browser: Chrome, database_url: str, tmp_path: Path) -> Iterator[Pages]:
    for name in ("roots", "stored"):
        (tmp_path / name).mkdir()
    given = Settings(
        database_url=database_url,
        import_roots=[tmp_path / "roots"],
        storage_root=tmp_path / "stored",
        _env_file=None,
    )
    browser.switch_to.new_window("tab")
    browser.delete_all_cookies()
    with serving(host(create_app(given))) as url:
        yield Pages(browser, f"{url}/lab/dicom")
    browser.get("about:blank")


def test_from_a_dropped_folder_to_a_nifti(pages: Pages, tmp_path: Path) -> None:
    made = files(tmp_path / "sent")
    (tmp_path / "sent" / "notes.txt").write_text("not DICOM")
    pages.go("/imports")
    pages.see("Drop files")
    pages.drop(".zone", tmp_path / "sent")
    pages.see(f"{len(made) + 1} files: {len(made)} created")
    # What was not taken, and why.
    pages.click(".report [role=tab]:last-of-type")
    pages.see("notes.txt")

    # The series with the private element, by a filter that is typed.
    pages.go("/series")
    pages.see("Series 2")
    pages.browser.find_element(By.TAG_NAME, "body").send_keys("f")
    pages.until("return !!document.querySelector('[aria-label=\"New filter\"]')")
    field = pages.browser.find_element(By.CSS_SELECTOR, '[aria-label="New filter"]')
    field.send_keys(f"element.{CREATOR}:0019xx10=seven", Keys.ENTER)
    pages.see("Series 1")
    # And as a column of both.
    text = pages.go(f"/series?c=modality,@{CREATOR}:0019xx10".replace(" ", "%20"))
    pages.see("seven")
    assert text.count("seven") == 1
    pages.browser.back()
    pages.see("Series 1")

    # Its volume: each slice is filled with its index.
    pages.click(".grid tbody td.c-ser a")
    pages.until("return !!document.querySelector('.sliders input:not([disabled])')")
    for index in (3, 1):
        pages.script(
            "const slider = document.querySelector('[aria-label=\"Axial slice\"]');"
            "Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set"
            ".call(slider, arguments[0]);"
            "slider.dispatchEvent(new Event('input', { bubbles: true }))",
            index,
        )
        pages.see(f"Axial {index + 1}/5")
        pages.see(f"value {index} at the crosshair")
    pages.see("5, axial")
    assert pages.errors() == []

    # What the page offers as NIfTI is what nibabel reads.
    link = pages.script("return document.querySelector('a.btn.primary').href")
    image = nib.Nifti1Image.from_bytes(gzip.decompress(httpx.get(link, timeout=60).content))
    assert image.shape == (8, 8, 5)
    assert np.array_equal(np.asarray(image.dataobj)[0, 0], np.arange(5))

    # A long header is scrolled to its end: as high as all of its lines.
    pages.browser.set_window_size(1400, 500)
    pages.click('.actions a[href*="/images/"]')
    pages.see("Patient's Name")
    assert pages.script(
        "const box = document.querySelector('.tree-scroll');"
        "return box.scrollHeight >= 26 * (box.querySelector('table').ariaRowCount - 1)"
    )
    pages.browser.set_window_size(1400, 900)

    # Two headers side by side, by the keyboard.
    pages.go("/images?s=number")
    pages.see("Images 100+")
    # Page after page comes while the table is scrolled; each image once, in order.
    rows = "[...document.querySelectorAll('.grid tbody tr[aria-rowindex]')]"
    scroll = "document.querySelector('.grid').scrollTop += 400"
    pages.until(f"{scroll}; return {rows}.at(-1).ariaRowIndex == 121")
    pages.see("Images 120")
    assert pages.script(f"return {rows}.length") < 60
    assert "Image #115" in pages.script(f"return {rows}.at(-1).innerText")
    pages.script("document.querySelector('.grid').scrollTop = 0")
    pages.until(f"return {rows}[0].ariaRowIndex == 2")
    pages.click(".grid tbody tr:nth-child(1) input")
    pages.click(".grid tbody tr:nth-child(2) input")
    pages.see("2 images")
    pages.browser.find_element(By.TAG_NAME, "body").send_keys("d")
    pages.see("elements differ")
    pages.see(CREATOR)
    assert pages.browser.current_url.startswith(f"{pages.url}/compare?uid=")

    # What is deleted is gone from the list, and its files are not.
    pages.go("/series?f=series.description%3Dplain")
    pages.see("Series 1")
    pages.click(".grid tbody tr input")
    pages.click(".selbar .danger")
    pages.see("deleted from the database")
    pages.click(".change .danger")
    pages.see("1 deleted, 115 images")
    pages.go("/series")
    pages.see("Series 1")
    assert len(list((tmp_path / "stored").rglob("*.dcm"))) == len(made)
