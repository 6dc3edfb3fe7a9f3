"""Pixels and volumes for resolvers: found by loaders, errors with their code."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, TypeVar

import strawberry

from dicom_graph.dicom.errors import RenderingError
from dicom_graph.dicom.pixels.arrays import PixelDescription
from dicom_graph.dicom.pixels.voi import Window
from dicom_graph.dicom.volume.acquisition import Acquisition
from dicom_graph.errors import BadInput
from dicom_graph.graph.context import Info
from dicom_graph.graph.urls import window_text
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import file_of, series_files
from dicom_graph.imaging.indexed import indexed_headers
from dicom_graph.imaging.worker import PixelStatistics, VolumeSummary
from dicom_graph.store.read.elements import ElementNode

Key = TypeVar("Key")
Value = TypeVar("Value")
_AT_A_TIME = 4
"""How many look for their files at a time, of the many that one list may ask for."""


@strawberry.input(description="Which values a picture shows, from black to white.")
class WindowInput:
    center: float = strawberry.field(description="The middle of the window.")
    width: float = strawberry.field(description="From its one end to the other; 1 or more.")

    def text(self) -> str | None:
        """As it stands in an address. Raises BadInput."""
        try:
            return window_text(Window(self.center, self.width))
        except RenderingError as error:
            raise BadInput(str(error)) from None


WindowArgument = Annotated[
    WindowInput | None,
    strawberry.argument(
        description="Which values are shown; that of the header if it is not given, or of the 1st "
        "to the 99th percentile."
    ),
]
SizeArgument = Annotated[
    int | None, strawberry.argument(description="The longer side in pixels, up to 8192.")
]


async def description_of(info: Info, image: Any) -> PixelDescription:
    """What an image's file says of its pixels. Raises BadInput."""
    store, imaging = info.context.store, info.context.imaging

    async def describe(image: Any) -> PixelDescription:
        return await imaging.describe(await file_of(imaging.files, store, image.key))

    found: PixelDescription = await _load(info, "pixel_description", describe, image)
    return found


async def statistics_of(info: Info, image: Any) -> PixelStatistics:
    """Least, greatest and mean value of an image, which is decoded for it. Raises BadInput."""
    store, imaging = info.context.store, info.context.imaging

    async def measure(image: Any) -> PixelStatistics:
        return await imaging.statistics(await file_of(imaging.files, store, image.key))

    found: PixelStatistics = await _load(info, "pixel_statistics", measure, image)
    return found


async def instance_of(info: Info, image: Any) -> list[ElementNode]:
    """All elements of an image's file, as far as they may be seen. Raises BadInput."""
    store, imaging = info.context.store, info.context.imaging

    async def read(image: Any) -> list[ElementNode]:
        return await imaging.instance(store, await file_of(imaging.files, store, image.key))

    found: list[ElementNode] = await _load(info, "instance", read, image)
    return found


async def volumes_of(info: Info, series: Any) -> list[VolumeSummary]:
    """The volumes of a series, the main one first. Raises BadInput."""
    store, imaging = info.context.store, info.context.imaging

    async def read(series: Any) -> list[VolumeSummary]:
        # Without identities labels are not what headers say: the files tell, as for pictures.
        hides = info.context.principal.deidentified
        headers = None if hides else await indexed_headers(store, series.key)
        if headers:
            with suppress(ImagingError):  # Which the files tell, with their names.
                return await imaging.volumes_of_headers(headers)
        return await imaging.volumes(await series_files(imaging.files, store, series.key))

    found: list[VolumeSummary] = await _load(info, "volumes", read, series)
    return found


async def acquisition_of(info: Info, series: Any, stack: int) -> Acquisition:
    """How a volume of a series was acquired. Raises BadInput."""
    store, imaging = info.context.store, info.context.imaging

    async def read(series: Any) -> list[Acquisition]:
        return await imaging.acquisitions(await series_files(imaging.files, store, series.key))

    found: list[Acquisition] = await _load(info, "acquisitions", read, series)
    return found[stack]


async def _load(
    info: Info, name: str, find: Callable[[Any], Awaitable[Value]], entity: Any
) -> Value:
    loader = info.context.loaders.each(name, _bounded(find), lambda entity: entity.id)
    loaded: Value = await loader.load(entity)
    return loaded


def _bounded(
    find: Callable[[Any], Awaitable[Value]],
) -> Callable[[Sequence[Any]], Awaitable[list[Value | BaseException]]]:
    """A few at a time; what fails fails alone."""

    async def find_all(entities: Sequence[Any]) -> list[Value | BaseException]:
        places = asyncio.Semaphore(_AT_A_TIME)

        async def one(entity: Any) -> Value:
            async with places:
                try:
                    return await find(entity)
                except ImagingError as error:
                    raise BadInput(error.message, error.problem) from None

        return await asyncio.gather(*map(one, entities), return_exceptions=True)

    return find_all
