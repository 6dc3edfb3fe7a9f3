"""A DICOM file without identities, by the Basic Application Confidentiality Profile (PS3.15 E.2).

The same elements as in the view (`confidentiality`): what is withheld there is empty here where the
profile allows Z, and else removed. Of pixel data the samples are kept, and nothing beside them:
compressed streams lose their comments and metadata, and are refused where something lies in bits
beyond the samples.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

from dicom_graph.dicom.confidentiality.burned_in import may_show_text
from dicom_graph.dicom.confidentiality.person_like import VOICES
from dicom_graph.dicom.confidentiality.profile import (
    PATIENT_ID,
    Identifiers,
    Replacements,
    Treatment,
    profile,
    treatment,
)
from dicom_graph.dicom.elements.plausible import is_plausible, most_values
from dicom_graph.dicom.elements.values import parse_values
from dicom_graph.dicom.errors import CorruptPixelsError, FileGoneError, PixelError
from dicom_graph.dicom.files.stored_file import opened_source
from dicom_graph.dicom.parsing.file_meta import GE_BIG_PIXELS
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom, read_header, read_whole
from dicom_graph.dicom.pixels.arrays import PIXEL_TAGS
from dicom_graph.dicom.pixels.frame_format import read_format
from dicom_graph.dicom.pixels.image_file import as_pixel_errors_of, is_native, open_image, syntax_of
from dicom_graph.dicom.pixels.unused_bits import clear_unused_bits

METHOD = "dicom-graph: DICOM PS3.15 Annex E, Basic Profile"
_LATIN = ["iso8859"]
_PIXEL_GROUP = 0x7FE0
_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths",
           "EncapsulatedPixelDataValueTotalLength")  # fmt: skip
_LONGEST_TABLED = 1 << 31


class BurnedInError(PixelError):
    """The pixels may show text that names somebody."""


def identifiers_of(path: str | os.PathLike[str]) -> Identifiers:
    """The UIDs and PatientIDs in a file that are to be replaced. Raises PixelError."""
    with as_pixel_errors_of(path), opened_source(path) as file, quiet_pydicom():
        found = list(_identifiers(_read(file, pixels=False)))
    return Identifiers(
        {text for tag, text in found if tag != PATIENT_ID},
        {text for tag, text in found if tag == PATIENT_ID},
    )


def write_deidentified(path: str | os.PathLike[str], target: str, names: Replacements) -> None:
    """Write a file without its identities; `names` are those of `identifiers_of`.

    Raises PixelError, of which BurnedInError where pixels may show a name.
    """
    with as_pixel_errors_of(path), opened_source(path) as file, quiet_pydicom():
        # Of a header of its own: what is looked at gets the VR of the dictionary for UN.
        if may_show_text(_read(file, pixels=False)):
            raise BurnedInError("the pixels may show text that names somebody")
        file.seek(0)
        whole = _read(file, pixels=True)
        if syntax_of(whole) == GE_BIG_PIXELS:
            raise BurnedInError("files of GE's private transfer syntax are not rewritten")
        made = _without_identities(whole, names)
        if is_native(syntax_of(whole)):
            clear_unused_bits(made)
        else:
            _put_bare_frames(path, made)
        _say_so(made)
        made.file_meta = _meta(made, syntax_of(whole))
        made.preamble = bytes(128)
        encoding: dict[str, Any] = {}
        if not is_native(made.file_meta.TransferSyntaxUID):
            # Also those that pydicom does not know yet.
            encoding = {"implicit_vr": False, "little_endian": True, "force_encoding": True}
        pydicom.dcmwrite(target, made, enforce_file_format=False, overwrite=True, **encoding)


def _put_bare_frames(path: str | os.PathLike[str], made: Dataset) -> None:
    """Compressed pixel data again, of its frames alone. Raises BurnedInError."""
    if "PixelData" not in made:
        return
    old = made["PixelData"]
    has_table = old.value[4:8] != bytes(4)
    old.value = b""
    try:
        with open_image(path, PIXEL_TAGS) as image:
            frames = list(image.bare_frames(read_format(image.header, image.keyword)))
    except FileGoneError:
        raise
    except PixelError as error:
        raise BurnedInError("the compressed pixels may hold more than the samples") from error
    has_table = has_table and sum(map(len, frames)) < _LONGEST_TABLED
    made.PixelData = encapsulate(frames, has_bot=has_table)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    for keyword in _TABLES:
        if keyword in made:
            del made[keyword]


def _meta(made: Dataset, syntax: UID) -> FileMetaDataset:
    """The file meta information; of a file without a SOP class or instance also without."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    if "SOPClassUID" in made:
        meta.MediaStorageSOPClassUID = made.SOPClassUID
    if "SOPInstanceUID" in made:
        meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return meta


def _read(file: BinaryIO, *, pixels: bool) -> Dataset:
    return read_whole(file) if pixels else read_header(file)


def _treated(data_set: Dataset) -> Iterator[tuple[BaseTag, str, Treatment]]:
    """The elements with their VR, and what becomes of them."""
    for tag in list(data_set.keys()):
        vr = data_set.get_item(tag).VR
        if vr is None:
            try:
                vr = dictionary_VR(tag).partition(" or ")[0]
            except KeyError:
                vr = "UN"
        # of private ones the tag tells: the standard's dictionary does not have it
        found = treatment(int(tag), "", vr if " or " not in vr else vr.partition(" or ")[0])
        if found is not Treatment.WITHHOLD and not _is_readable(data_set, tag, vr):
            found = Treatment.WITHHOLD
        yield tag, vr, found


def _is_readable(data_set: Dataset, tag: BaseTag, vr: str) -> bool:
    """Whether it is what its VR and multiplicity allow: nobody knows what lies in it otherwise."""
    element = data_set.get_item(tag)
    if vr == "SQ" or tag >> 16 == _PIXEL_GROUP or element.value is None:
        return True
    most = most_values(int(tag))
    if isinstance(element, DataElement):
        # It was looked at before, so it could be decoded.
        texts = [] if isinstance(element.value, bytes) else _texts(element)
        fits = most is None or len(texts) <= most
        return fits and all(is_plausible(vr, text) for text in texts)
    parsed = parse_values(vr, element.value, _LATIN, element.is_little_endian)
    if parsed.warning is not None or (most is not None and parsed.vm > most):
        return False
    return all(
        value.warning is None and is_plausible(vr, value.text or "") for value in parsed.values
    )


def _identifiers(data_set: Dataset) -> Iterator[tuple[int, str]]:
    for tag, vr, found in _treated(data_set):
        if vr == "SQ" and found is Treatment.KEEP:
            for item in data_set[tag].value:
                yield from _identifiers(item)
        elif found is Treatment.REPLACE:
            yield from ((int(tag), text) for text in _texts(data_set[tag]))


def _texts(element: DataElement) -> list[str]:
    value = element.value
    if value is None:
        return []
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return [str(text) for text in values]


def _without_identities(
    data_set: Dataset, names: Replacements, *, is_item: bool = False
) -> Dataset:
    made = Dataset()
    made.set_original_encoding(*data_set.original_encoding)
    for tag, vr, found in _treated(data_set):
        if (is_item and tag >> 16 == _PIXEL_GROUP) or tag in VOICES:
            # Of an icon, which may show anything; of what somebody may say.
            continue
        if found is Treatment.WITHHOLD:
            if "Z" in profile().get(int(tag), ""):
                made.add_new(tag, dictionary_VR(tag).partition(" or ")[0], None)
        elif vr == "SQ":
            items = [_without_identities(item, names, is_item=True) for item in data_set[tag].value]
            made.add_new(tag, "SQ", Sequence(items))
        elif found is Treatment.REPLACE:
            made.add_new(tag, vr, [_name(int(tag), text, names) for text in _texts(data_set[tag])])
        else:
            made[tag] = data_set.get_item(tag)
    return made


def _name(tag: int, text: str, names: Replacements) -> str:
    by_text = names.patients if tag == PATIENT_ID else names.uids
    if text not in by_text:
        raise CorruptPixelsError("the file has changed while it was read")
    return by_text[text]


def _say_so(made: Dataset) -> None:
    """PS3.15 E.1.1, and that no date is left (Table E.1-1 note on 0028,0303)."""
    code = Dataset()
    code.CodeValue = "113100"
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = METHOD
    made.DeidentificationMethodCodeSequence = [code]
    made.LongitudinalTemporalInformationModified = "REMOVED"
