"""Pixels of an image."""

from typing import Annotated, Any

import strawberry

from dicom_graph.errors import BadInput
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.imaging import (
    SizeArgument,
    WindowArgument,
    description_of,
    statistics_of,
)
from dicom_graph.graph.urls import file_url


@strawberry.type(
    description="The pixels of an image. Its file is opened for the fields that need it, and "
    "decoded only for `minimum`, `maximum` and `mean`."
)
class Pixels:
    image: strawberry.Private[Any]

    @computed("(frames, rows, columns), and 3 more for colour: the shape of the array in `npyUrl`.")
    async def shape(self, info: Info) -> list[int]:
        return list((await description_of(info, self.image)).shape)

    @computed("The type of the array, as numpy names it: that of the rescaled values.")
    async def dtype(self, info: Info) -> str:
        return (await description_of(info, self.image)).dtype

    @computed("PhotometricInterpretation (0028,0004) as the file has it.")
    async def photometric_interpretation(self, info: Info) -> str:
        return (await description_of(info, self.image)).photometric_interpretation

    @computed("WindowCenter (0028,1050), the first one, of the first frame.")
    async def window_center(self, info: Info) -> float | None:
        windows = (await description_of(info, self.image)).windows
        return windows[0].center if windows else None

    @computed("WindowWidth (0028,1051), the first one, of the first frame.")
    async def window_width(self, info: Info) -> float | None:
        windows = (await description_of(info, self.image)).windows
        return windows[0].width if windows else None

    @computed("The least rescaled value of all frames; null where none is a number.")
    async def minimum(self, info: Info) -> float | None:
        return (await statistics_of(info, self.image)).minimum

    @computed("The greatest rescaled value of all frames; null where none is a number.")
    async def maximum(self, info: Info) -> float | None:
        return (await statistics_of(info, self.image)).maximum

    @computed("The mean of the rescaled values of all frames; null where none is a number.")
    async def mean(self, info: Info) -> float | None:
        return (await statistics_of(info, self.image)).mean

    @computed("Where a frame is as PNG: 8 bits of grey, or RGB.")
    def png_url(
        self,
        frame: Annotated[int, strawberry.argument(description="The frame, counted from 1.")] = 1,
        window: WindowArgument = None,
        size: SizeArgument = None,
    ) -> str:
        if frame < 1:
            raise BadInput(f"`frame` is {frame}; frames are counted from 1")
        text = window.text() if window is not None else None
        return file_url("images", self.image.uid, f"/frames/{frame}.png", window=text, size=size)

    @computed("Where the array of all frames is in numpy's format, with rescaled values.")
    def npy_url(self) -> str:
        return file_url("images", self.image.uid, ".npy")
