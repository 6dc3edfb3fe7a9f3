"""Tables as spreadsheets save them: their encodings, quotes and ends of lines."""

import csv
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from io import StringIO

from dicom_graph.errors import BadInput


def decoded(content: bytes, name: str) -> str:
    """The text of a table: UTF-8, or UTF-16 with its mark. Raises BadInput."""
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise BadInput(
            f"{name} is not UTF-8: save it from the spreadsheet as Unicode text or as UTF-8"
        ) from None


def rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, each with the number of its (last) line; cells without the spaces
    around them, rows without the empty cells at their end. Raises BadInput.
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise BadInput(
                f"line {reader.line_num}: {error}; is there a quotation mark that is not closed?"
            ) from None
        if cells is None:
            return
        cells = [cell.strip() for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        yield reader.line_num, cells
