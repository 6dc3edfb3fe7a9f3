"""Pictures and files for users who see no identities: none that may show a name, and no telling
errors.

A worker looks at the header of each file before anything is made of its pixels.
"""

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import BinaryIO, ParamSpec, TypeVar

from dicom_graph.dicom.confidentiality.burned_in import BURNED_IN_TAGS, may_show_text
from dicom_graph.dicom.confidentiality.deidentify import (
    BurnedInError,
    identifiers_of,
    write_deidentified,
)
from dicom_graph.dicom.elements.plausible import is_plausible
from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.dicom.pixels.arrays import PixelDescription
from dicom_graph.dicom.pixels.image_file import open_image
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging import worker
from dicom_graph.imaging.bulk_data import write_bulk_value
from dicom_graph.imaging.checker import StoredImage
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.instance import read_elements
from dicom_graph.imaging.pool import DecodePool
from dicom_graph.imaging.service import Files, Imaging, spooled
from dicom_graph.imaging.worker import DescribedVolume, VolumeSummary
from dicom_graph.store.read import Store
from dicom_graph.store.read.deidentified import DeidentifiedStore
from dicom_graph.store.read.elements import ElementNode

Given = ParamSpec("Given")
Result = TypeVar("Result")

WITHHELD = (
    "the pixels may show text that names somebody: they are not for users who see no identities"
)
_TOLD = {
    ErrorCode.OUT_OF_RANGE: "there is no such frame, slice or volume",
    ErrorCode.FILE_GONE: "a file is gone or has changed since it was imported",
    ErrorCode.NO_PIXEL_DATA: "there is no pixel data",
    ErrorCode.UNSUPPORTED_SYNTAX: "no decoder here knows the transfer syntax",
    ErrorCode.CORRUPT_PIXELS: "the pixels, or what the header says of them, cannot be read",
    ErrorCode.NO_VOLUME: "the images make no volume",
    ErrorCode.SEVERAL_STACKS: "the series makes several volumes: choose one by `stack`, from 0",
    ErrorCode.BAD_INPUT: "what is asked cannot be drawn",
}
"""Instead of messages that may quote a header."""
_FIGURES = re.compile(r"(?:(?:^|, )segment -?[0-9]+)?(?:(?:^|, )TE [0-9.e+-]+ ms)?\Z")
"""What a label of a volume ends with."""
_WITHOUT_PICTURES = (
    worker.describe_image, worker.image_statistics, worker.summarise_volumes,
    worker.read_acquisitions, worker.describe_volumes, worker.volume_acquisition, identifiers_of,
)  # fmt: skip
"""What may be done with any file."""


class DeidentifiedImaging(Imaging):
    """Works in the processes of another one, which is not to be closed by it."""

    def __init__(self, imaging: Imaging) -> None:
        self._max_bytes = imaging._max_bytes
        self._pool = _GuardedPool(imaging._pool)
        self._whole = imaging._pool
        self.files = imaging.files

    async def describe(self, file: FileState) -> PixelDescription:
        """The same, without texts that are no such values."""
        found = await super().describe(file)
        if is_plausible("CS", found.photometric_interpretation):
            return found
        return replace(found, photometric_interpretation="")

    async def volumes(self, files: Files) -> list[VolumeSummary]:
        """The same, without what an image calls its kind where that is no such value."""
        return [
            replace(each, label=_shown_label(each.label)) for each in await super().volumes(files)
        ]

    async def described_volumes(self, files: Files) -> list[DescribedVolume]:
        """The same, without such kinds."""
        return [
            each._replace(summary=replace(each.summary, label=_shown_label(each.summary.label)))
            for each in await super().described_volumes(files)
        ]

    async def instance(self, store: Store, file: FileState) -> list[ElementNode]:
        """The elements of the file without identities; refused as that file is."""
        assert isinstance(store, DeidentifiedStore)
        path = await self.dicom(store, file)
        try:
            return await self._whole.run(read_elements, path)
        finally:
            await asyncio.to_thread(os.unlink, path)

    async def bulk_data(self, store: Store, file: FileState, tag: int, sha256: bytes) -> str:
        """The same of the file without identities; refused as that file is."""
        assert isinstance(store, DeidentifiedStore)
        path = await self.dicom(store, file)
        try:
            return await spooled(
                lambda target: self._whole.run(write_bulk_value, path, target, tag, sha256)
            )
        finally:
            await asyncio.to_thread(os.unlink, path)

    async def dicom(self, store: DeidentifiedStore, file: FileState) -> str:
        """The path of a temporary DICOM file without identities; the caller deletes it."""
        if file.size > self._max_bytes:
            raise ImagingError("the file is larger than one answer may be", ErrorCode.TOO_LARGE)
        found = await self._pool.run(identifiers_of, file)
        names = await store.replacements(found)
        return await spooled(lambda target: self._pool.run(write_deidentified, file, target, names))

    async def opened(self, store: DeidentifiedStore, image: StoredImage) -> BinaryIO | str:
        """Such a file, gone once it is closed; or why there is none."""
        (file,) = await self.files.chosen(store, [image])
        if file is None:
            return _TOLD[ErrorCode.FILE_GONE]
        try:
            path = await self.dicom(store, file)
        except ImagingError as error:
            return error.message
        return await asyncio.to_thread(_open_last, path)


def _shown_label(label: str) -> str:
    """Of a label the figures at its end, and the values before them, if these are codes."""
    figures = _FIGURES.search(label)
    assert figures is not None
    kind = label[: figures.start()]
    if all(is_plausible("CS", value) for value in kind.split("\\")):
        return label
    return figures[0].removeprefix(", ")


def _open_last(path: str) -> BinaryIO:
    """The file, open, and gone from its folder."""
    file = open(path, "rb")  # noqa: SIM115
    with suppress(OSError):
        os.unlink(path)
    return file


class _GuardedPool(DecodePool):
    """Runs all in another pool; the first argument of each function is what it reads."""

    def __init__(self, pool: DecodePool) -> None:
        self.whole = pool

    async def run(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """What the function returns. Raises ImagingError, TimeoutError."""
        call = partial(function, *args, **kwargs)
        try:
            return await self.whole.run(_guarded, call)
        except ImagingError as error:
            told = _TOLD.get(error.problem, error.message)
            raise ImagingError(told, error.problem) from None


def _guarded(call: "partial[Result]") -> Result:
    """Call, unless pixels would be given that may show a name. Raises ImagingError, PixelError."""
    try:
        if call.func not in _WITHOUT_PICTURES:
            given = call.args[0]
            for file in [given] if isinstance(given, FileState) else given:
                _check(file)
        return call()
    except BurnedInError:
        raise ImagingError(WITHHELD, ErrorCode.WITHHELD) from None


def _check(file: FileState) -> None:
    with open_image(file, BURNED_IN_TAGS) as image:
        if may_show_text(image.header):
            raise BurnedInError("the pixels may show text")
