"""How fast images become pictures, and series volumes, against a bare loop of pydicom and numpy.

    python -m benchmarks.pixels PATH [--repeat 5]

PATH is a folder with images below it, grouped by series. Prints

- frames/s as PNG: every frame of every image by `read_pixels` and `render`, against a loop of
  `dcmread`, `pixel_array` (with python-gdcm beneath it), slope and intercept, the header's window
  (or percentiles) in numpy, and Pillow's PNG.
- volumes/s: every series by `read_geometries` and `read_volume`, against a loop that reads files
  with `dcmread` and `pixel_array`, sorts by position along the normal, and stacks; of series of one
  size only, in which it does for 3-D and 4-D what a researcher's ten lines do.
- MB/s of the volumes written as `.nii.gz`, and of `.npy`.

Times are of the processor, not of the clock, as other work on the machine does not count there. All
files are read once first. A round is loop, ours, loop; its ratio is that of the loops' mean to
ours, so above 1 ours is faster. The ratio printed is the median of the rounds, rates the best.
"""

import argparse
import io
import logging
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pydicom
from PIL import Image

from benchmarks.data_folder import add_data_folder, data_folder
from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.nifti import write_nifti, write_npy
from dicom_graph.dicom.pixels.arrays import describe_pixels, read_pixels
from dicom_graph.dicom.pixels.rendering import render
from dicom_graph.dicom.volume import read_geometries, read_volume


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="benchmarks.pixels", description=__doc__.split("\n")[0])
    add_data_folder(parser)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(arguments)
    options.data = data_folder(parser, options)
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    series = find_series(options.data)
    images = [(path, count) for paths in series for path, count in paths.items()]
    n_frames = sum(count for _, count in images)
    if not series:
        sys.exit(f"no images that can be decoded in {options.data}")
    print(f"{len(images)} images of {n_frames} frames in {len(series)} series")

    def pictures() -> None:
        for path, count in images:
            pixels = read_pixels(path)
            for frame in range(count):
                render(pixels, frame)

    def bare_pictures() -> None:
        for path, _ in images:
            bare_pngs(path)

    def volumes() -> None:
        for paths in series:
            for geometry in read_geometries(paths):
                read_volume(geometry)

    def bare_volumes() -> None:
        for paths in series:
            bare_volume(list(paths))

    compare("frames/s as PNG", n_frames, pictures, bare_pictures, options.repeat)
    compare("volumes/s", len(series), volumes, bare_volumes, options.repeat)
    print_writing(series)


def find_series(root: Path) -> list[dict[Path, int]]:
    """The images of each series that have pixels to decode, with their numbers of frames."""
    series: defaultdict[tuple[str, str], dict[Path, int]] = defaultdict(dict)
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        try:
            described = describe_pixels(path)
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        except (PixelError, OSError):
            continue
        path.read_bytes()
        series[str(path.parent), str(header.get("SeriesInstanceUID"))][path] = described.frames
    return list(series.values())


def compare(
    what: str, amount: int, ours: Callable[[], None], bare: Callable[[], None], repeat: int
) -> None:
    """Print the rate of both and their ratio."""
    ours()
    rounds = [(timed(bare), timed(ours), timed(bare)) for _ in range(repeat)]
    ratio = median(mean((first, second)) / own for first, own, second in rounds)
    best = min(own for _, own, _ in rounds)
    best_bare = min(min(first, second) for first, _, second in rounds)
    print(f"{what}: {amount / best:.1f}, bare {amount / best_bare:.1f}, ratio {ratio:.2f}")


def timed(action: Callable[[], None]) -> float:
    """The processor's seconds."""
    start = time.process_time()
    action()
    return time.process_time() - start


def bare_pngs(path: Path) -> None:
    """Every frame of a file as PNG, as a short script would do it."""
    header = pydicom.dcmread(path, force=True)
    array = header.pixel_array
    frames = array if int(header.get("NumberOfFrames") or 1) > 1 else array[None]
    for frame in frames:
        picture = frame if frame.ndim == 3 else bare_window(header, frame)
        Image.fromarray(np.ascontiguousarray(picture.astype(np.uint8))).save(io.BytesIO(), "PNG")


def bare_window(header: Any, frame: Any) -> Any:
    """The frame's values from 0 to 255."""
    values = frame * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    center, width = header.get("WindowCenter"), header.get("WindowWidth")
    if center is None or width is None:
        low, high = np.percentile(values, (1, 99))
    else:
        center, width = (float(np.atleast_1d(each)[0]) for each in (center, width))
        low, high = center - width / 2, center + width / 2
    return np.clip((values - low) / ((high - low) or 1), 0, 1) * 255


def bare_volume(paths: list[Path]) -> Any:
    """The slices of a series, sorted and stacked."""
    slices = []
    for path in paths:
        header = pydicom.dcmread(path, force=True)
        array = header.pixel_array
        slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
        if slope is not None:
            array = array * float(slope) + float(intercept or 0)
        key = 0.0
        if "ImageOrientationPatient" in header and "ImagePositionPatient" in header:
            axes = np.array(header.ImageOrientationPatient, float)
            normal = np.cross(axes[:3], axes[3:])
            key = float(normal @ np.array(header.ImagePositionPatient, float))
        slices.append((key, int(header.get("InstanceNumber") or 0), array))
    slices.sort(key=lambda each: each[:2])
    if len({array.shape for *_, array in slices}) == 1:
        return np.stack([array for *_, array in slices], axis=-1)
    return None


def print_writing(series: list[dict[Path, int]]) -> None:
    """Print how fast volumes are written."""
    geometries = [geometry for paths in series for geometry in read_geometries(paths)]
    size = sum(geometry.nbytes for geometry in geometries) / 1e6
    for name, write in ((".nii.gz", write_nifti), (".npy", write_npy)):
        start = time.process_time()
        for geometry in geometries:
            try:
                write(geometry, io.BytesIO())
            except PixelError:
                continue
        print(f"{name}: {size / (time.process_time() - start):.0f} MB/s of {size:.0f} MB")


if __name__ == "__main__":
    main()
