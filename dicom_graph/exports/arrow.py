"""Tables as Parquet and Arrow files, by pyarrow: the extra `[arrow]`, loaded when it is needed."""

import datetime as dt
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from dicom_graph.exports.batches import Batch
from dicom_graph.exports.cells import csa_text, element_text, plain_text
from dicom_graph.exports.columns import Column, Kind
from dicom_graph.exports.element_rows import IMAGE_COLUMNS, VALUE_COLUMNS, ElementBatch
from dicom_graph.store.read.csa_store import CsaValues
from dicom_graph.store.read.elements import ElementRow, ValueRow
from dicom_graph.store.read.plain_values import exact_integer, raw_text

_GROUP_ROWS, _GROUP_BYTES = 100_000, 32 << 20
_REPEATED = frozenset(
    {"SOPInstanceUID", "SeriesInstanceUID", "path", "tag", "keyword", "privateCreator", "vr"}
)
"""Texts of the long table that are few: the file has each once in a group of rows."""


class ArrowMissing(Exception):
    """pyarrow is not installed; the message says what to do."""

    def __init__(self) -> None:
        super().__init__("Parquet and Arrow need pyarrow, the extra [arrow]: pip install pyarrow")


def require_arrow() -> None:
    """Raises ArrowMissing."""
    _pyarrow()


def _pyarrow(module: str = "pyarrow") -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ArrowMissing from None


class Writer(Protocol):
    """Makes the bytes of a file of rows."""

    def write(self, arrays: Sequence[Any]) -> bytes:
        """Rows, by column; returns what there is to send so far."""

    def finish(self) -> bytes:
        """The rest."""


class ArrowFile:
    """A file that is written in pieces: Parquet, or the Arrow IPC file format."""

    def __init__(self, columns: Sequence[Column], notes: Mapping[str, str], *, parquet: bool):
        arrow = _pyarrow()
        fields = [
            arrow.field(c.name, _type(arrow, c, parquet=parquet), metadata=dict(c.notes) or None)
            for c in columns
        ]
        said = {c.name: dict(c.notes) for c in columns if c.notes}
        about = {**notes, "columns": json.dumps(said, ensure_ascii=False)}
        self.schema = arrow.schema(fields, metadata=about)
        self._out = _Outlet()
        self._arrow = arrow
        self._waiting: list[Any] = []
        self._size = [0, 0]
        if parquet:
            dictionaries = [c.name for c in columns if c.kind == "text" and not c.is_list]
            self._file = _pyarrow("pyarrow.parquet").ParquetWriter(
                self._out, self.schema, compression="snappy", use_dictionary=dictionaries or False
            )
        else:
            self._file = _pyarrow("pyarrow.ipc").new_file(self._out, self.schema)

    def write(self, arrays: Sequence[Any]) -> bytes:
        """Rows, by column; they are sent when there are enough for a group of rows."""
        batch = self._arrow.record_batch(list(arrays), schema=self.schema)
        self._waiting.append(batch)
        self._size[0] += batch.num_rows
        self._size[1] += batch.nbytes
        if self._size[0] >= _GROUP_ROWS or self._size[1] >= _GROUP_BYTES:
            self._flush()
        return self._out.taken()

    def finish(self) -> bytes:
        """The last rows, and what says where all lie."""
        self._flush()
        self._file.close()
        return self._out.taken()

    def _flush(self) -> None:
        rows = self._arrow.Table.from_batches(self._waiting, schema=self.schema)
        self._waiting, self._size = [], [0, 0]
        if rows.num_rows:
            self._file.write_table(rows.combine_chunks())


class _Outlet:
    """A file for pyarrow that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self.closed = False
        self._parts: list[bytes] = []
        self._position = 0

    def write(self, content: Any) -> int:
        part = bytes(content)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def entity_arrays(batch: Batch, columns: Sequence[Column]) -> list[Any]:
    """The rows of entities, by column."""
    arrow = _pyarrow()
    found = []
    for column in columns:
        cells = batch.cells(column)
        if column.csa:
            cells = [None if cell is None else _of_csa(column, cell) for cell in cells]
        make = _of_elements if column.steps else _array
        found.append(make(arrow, column, cells))
    return found


def _of_csa(column: Column, cell: Any) -> Any:
    """The values of an image, or those of the images of a row."""
    if not column.is_each:
        values = _typed_csa(column, cell)
        return values if column.is_list else values[0] if len(values) == 1 else None
    if "note" in column.notes:
        return [csa_text(values) for values in cell]
    return [each for values in cell for each in _typed_csa(column, values)]


def _typed_csa(column: Column, values: CsaValues) -> Sequence[float | str | None]:
    """As the column has them; what was imported after its type was told may be none of it."""
    if column.kind == "text":
        return [None if value is None else plain_text(value) for value in values]
    return [value if isinstance(value, float) else None for value in values]


def _of_elements(arrow: Any, column: Column, cells: Sequence[Any]) -> Any:
    """A column of elements; one that many have is looked at once."""
    if column.is_each:
        return _array(arrow, column, [_of_each(column, cell) for cell in cells])
    different = {None if cell is None else cell.id: cell for cell in cells}
    places = {id: place for place, id in enumerate(different)}
    values = [_of_element(column, cell) for cell in different.values()]
    taken = [places[None if cell is None else cell.id] for cell in cells]
    return _array(arrow, column, values).take(arrow.array(taken, "int32"))


def _of_each(column: Column, rows: Sequence[ElementRow] | None) -> list[Any] | None:
    """The values of the images of a row; None for none."""
    if column.kind == "text":
        return [element_text(row) for row in rows or ()] or None
    make = _VALUE[column.kind]
    values = [make(value) for row in rows or () for value in row.values]
    return [value for value in values if value is not None] or None


def element_arrays(batch: ElementBatch, *, parquet: bool) -> list[Any]:
    """The rows of the long table, by column."""
    arrow = _pyarrow()
    by_column = list(zip(*batch.cells, strict=True)) or [()] * len(VALUE_COLUMNS)
    of_image = list(zip(*batch.images, strict=True)) or [()] * len(IMAGE_COLUMNS)
    image, cell = arrow.array(batch.image, "int32"), arrow.array(batch.cell, "int32")
    sources = [
        *((column, values, image) for column, values in zip(IMAGE_COLUMNS, of_image, strict=True)),
        *((column, values, cell) for column, values in zip(VALUE_COLUMNS, by_column, strict=True)),
    ]
    return [
        _repeated(arrow, column, values, places)
        if parquet and column.name in _REPEATED
        else _array(arrow, column, values).take(places)
        for column, values, places in sources
    ]


def _repeated(arrow: Any, column: Column, values: Sequence[Any], places: Any) -> Any:
    """An array of few texts: numbers, and what they stand for."""
    coded = _array(arrow, column, values).dictionary_encode()
    return arrow.DictionaryArray.from_arrays(coded.indices.take(places), coded.dictionary)


def _type(arrow: Any, column: Column, *, parquet: bool) -> Any:
    if parquet and column in (*IMAGE_COLUMNS, *VALUE_COLUMNS) and column.name in _REPEATED:
        return arrow.dictionary(arrow.int32(), arrow.string())
    kind = _plain_type(arrow, column.kind)
    return arrow.list_(kind) if column.is_list else kind


def _plain_type(arrow: Any, kind: Kind) -> Any:
    types: dict[Kind, Callable[[], Any]] = {
        "text": arrow.string, "integer": arrow.int64, "number": arrow.float64,
        "date": arrow.date32, "time": lambda: arrow.time64("us"),
        "datetime": lambda: arrow.timestamp("us"),
        "moment": lambda: arrow.timestamp("us", tz="UTC"),
    }  # fmt: skip
    return types[kind]()


def _array(arrow: Any, column: Column, cells: Sequence[Any]) -> Any:
    kind = _plain_type(arrow, column.kind)
    type_ = arrow.list_(kind) if column.is_list else kind
    try:
        return arrow.array(cells, type_)
    except UnicodeEncodeError:
        return arrow.array([_encodable(cell) for cell in cells], type_)


def _encodable(value: Any) -> Any:
    """A text without what UTF-8 has no bytes for."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_encodable(each) for each in value] if isinstance(value, list | tuple) else value


def _of_element(column: Column, row: ElementRow | None) -> Any:
    """The value of an element, or its values as a list; None for none."""
    if row is None:
        return None
    if "note" in column.notes and not column.is_list:
        return element_text(row) or None
    values = [_VALUE[column.kind](value) for value in row.values]
    if column.is_list:
        return values or None
    if len(values) > 1:
        # Imported after the type of the column was told.
        return element_text(row) if column.kind == "text" else None
    return values[0] if values else None


def _number(value: ValueRow) -> float | None:
    return value.number if value.warning is None else None


def _integer(value: ValueRow) -> int | None:
    number = exact_integer(value)
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _datetime(value: ValueRow) -> dt.datetime | None:
    return value.datetime.replace(tzinfo=None) if value.datetime is not None else None


_VALUE: dict[Kind, Callable[[ValueRow], Any]] = {
    "text": raw_text, "integer": _integer, "number": _number, "datetime": _datetime,
    "date": lambda value: value.date, "time": lambda value: value.time,
}  # fmt: skip
