"""The kind of MR sequence that made a series, told from its header.

The rules are those of the ``dicom_parser`` package's sequence detector, as the table "MR sequence
type" of ``PARITY.md`` states them. Codes are the file's own (``SE``, ``GR``; PS3.3, C.8.3.1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class SequenceType(StrEnum):
    """What an MR sequence is for. The value is the label."""

    FLAIR = "flair"
    IR_EPI = "ir_epi"
    LOCALIZER = "localizer"
    MPRAGE = "mprage"
    SPGR = "spgr"
    FSPGR = "fspgr"
    T2W = "t2w"
    TIRM = "tirm"
    DWI = "dwi"
    DWI_DERIVED = "dwi_derived"
    DWI_FIELDMAP = "dwi_fieldmap"
    DWI_SBREF = "dwi_sbref"
    BOLD = "bold"
    FUNC_FIELDMAP = "func_fieldmap"
    FUNC_SBREF = "func_sbref"
    PHYSIO_LOG = "physio_log"


@dataclass(frozen=True, slots=True)
class SequenceTypeInputs:
    """What the sequence type depends on. An empty tuple is an element that is empty; None, one that
    is missing, which no rule about it matches.
    """

    modality: str | None = None
    scanning_sequence: tuple[str, ...] | None = ()
    sequence_variant: tuple[str, ...] | None = ()
    image_type: tuple[str, ...] | None = ()
    scan_options: tuple[str, ...] | None = ()
    phase_encoding_direction: str | None = None


Codes = tuple[str, ...]
Test = Callable[[Codes], bool]


def _is(*alternatives: str) -> Test:
    """The values are one of these lists, in this order; the empty string is the empty list."""
    allowed = {tuple(text.split("\\")) if text else () for text in alternatives}
    return lambda codes: codes in allowed


def _has(*needed: str) -> Test:
    """All of these are among the values."""
    return lambda codes: set(needed) <= set(codes)


def _has_one_of(*wanted: str) -> Test:
    """At least one of these is among the values."""
    return lambda codes: not set(wanted).isdisjoint(codes)


def _both(first: Test, second: Test) -> Test:
    return lambda codes: first(codes) and second(codes)


def _reversed(direction: str | None) -> bool:
    return direction is not None and direction.endswith("-")


def _forward(direction: str | None) -> bool:
    return bool(direction) and not _reversed(direction)


@dataclass(frozen=True, slots=True)
class _Rule:
    label: SequenceType
    scanning_sequence: Test | None = None
    sequence_variant: Test | None = None
    image_type: Test | None = None
    scan_options: Test | None = None
    direction: Callable[[str | None], bool] | None = None

    def matches(self, inputs: SequenceTypeInputs) -> bool:
        pairs = (
            (self.scanning_sequence, inputs.scanning_sequence),
            (self.sequence_variant, inputs.sequence_variant),
            (self.image_type, inputs.image_type),
            (self.scan_options, inputs.scan_options),
        )
        if not all(test is None or (codes is not None and test(codes)) for test, codes in pairs):
            return False
        return self.direction is None or self.direction(inputs.phase_encoding_direction)


_OPA = _is(r"ORIGINAL\PRIMARY\OTHER")
_SPGR_OPTIONS = _is(r"FAST_GEMS\FILTERED_GEMS\ACC_GEMS")
_DWI_VARIANT = _is(r"SK\SS", r"SK\SP", r"SK\SP\OSP", r"SK\SS\OSP")
_DWI_IMAGE = _has("ORIGINAL", "PRIMARY", "DIFFUSION", "NONE")
_FUNC_OPTIONS = _is(r"PFP\FS", "FS")

# The order matters: the first rule that matches names the sequence.
_RULES = (
    _Rule(SequenceType.FLAIR, _is(r"SE\IR"), _is(r"SK\SP\MP")),
    _Rule(
        SequenceType.FLAIR,
        _is(r"SE\IR"),
        _is("SK"),
        _OPA,
        _is(r"FAST_GEMS\TRF_GEMS\FILTERED_GEMS"),
    ),
    _Rule(
        SequenceType.IR_EPI,
        _is(r"EP\IR"),
        _has("SK", "SP", "MP"),
        scan_options=_has("IR", "FS"),
    ),
    _Rule(
        SequenceType.LOCALIZER,
        _is("GR"),
        _is(r"SP\OSP", "SP"),
        _both(_has("ORIGINAL", "PRIMARY", "M"), _has_one_of("DIS2D", "ND")),
    ),
    _Rule(
        SequenceType.LOCALIZER,
        _is("RM", "GR"),
        _is("NONE", r"SS\SK"),
        _OPA,
        _is("PFF", r"FAST_GEMS\SEQ_GEMS\PFF"),
    ),
    _Rule(SequenceType.MPRAGE, _is(r"GR\IR"), _is(r"SK\SP\MP"), scan_options=_has("IR")),
    _Rule(SequenceType.SPGR, _is("GR"), _is(r"SS\SP"), _OPA, _SPGR_OPTIONS),
    _Rule(SequenceType.FSPGR, _is("GR"), _is(r"SS\SP\SK"), _OPA, _SPGR_OPTIONS),
    _Rule(SequenceType.T2W, _is("SE"), _is(r"SK\SP", r"SK\SP\OSP")),
    _Rule(
        SequenceType.T2W,
        _is("RM"),
        _is("NONE"),
        _OPA,
        _both(
            _has("FC", "VB_GEMS", "TRF_GEMS"),
            _has_one_of("FC_FREQ_AX_GEMS", "FC_SLICE_AX_GEMS", "SP", "FS"),
        ),
    ),
    _Rule(
        SequenceType.TIRM,
        _is(r"SE\IR"),
        _is(r"SK\SP\MP\OSP"),
        scan_options=_is(r"IR\SAT1"),
    ),
    _Rule(SequenceType.DWI, _is("EP"), _DWI_VARIANT, _DWI_IMAGE, direction=_reversed),
    _Rule(
        SequenceType.DWI,
        _is(r"EP\RM"),
        image_type=_OPA,
        scan_options=_is(r"EPI_GEMS\PFF"),
    ),
    _Rule(SequenceType.DWI_DERIVED, image_type=_has("DERIVED", "PRIMARY", "DIFFUSION")),
    _Rule(SequenceType.DWI_FIELDMAP, _is("EP"), _DWI_VARIANT, _DWI_IMAGE, direction=_forward),
    _Rule(
        SequenceType.DWI_SBREF,
        _is("EP"),
        _is(r"SK\SS"),
        _is(r"ORIGINAL\PRIMARY\M\ND\MOSAIC"),
        _is("PFP", ""),
    ),
    _Rule(
        SequenceType.BOLD,
        _is("EP"),
        _is(r"SK\SS", r"SK\SS\OSP", r"SK\SP"),
        _is(
            r"ORIGINAL\PRIMARY\M\ND\NORM",
            r"ORIGINAL\PRIMARY\M\MB\ND\MOSAIC",
            r"ORIGINAL\PRIMARY\M\MB\ND\NORM\MOSAIC",
        ),
        _FUNC_OPTIONS,
    ),
    _Rule(
        SequenceType.BOLD,
        _is(r"EP\GR"),
        _is("SS"),
        _is(r"ORIGINAL\PRIMARY\EPI\NONE"),
        _is(r"EPI_GEMS\ACC_GEMS"),
    ),
    _Rule(
        SequenceType.FUNC_FIELDMAP,
        _is("EP"),
        _is(r"SK\OSP", "SK"),
        _is(r"ORIGINAL\PRIMARY\M\ND\MOSAIC"),
        _FUNC_OPTIONS,
    ),
    _Rule(
        SequenceType.FUNC_SBREF,
        _is("EP"),
        _is(r"SK\SS", r"SK\SS\OSP"),
        _is(r"ORIGINAL\PRIMARY\M\ND\MOSAIC", r"ORIGINAL\PRIMARY\M\ND\NORM\MOSAIC"),
        _is(r"PFP\FS"),
    ),
    _Rule(SequenceType.PHYSIO_LOG, image_type=_is(r"ORIGINAL\PRIMARY\RAWDATA\PHYSIO")),
)


def sequence_type(inputs: SequenceTypeInputs) -> SequenceType | None:
    """Name the MR sequence of a header: the first rule that matches.

    Returns None for another modality than MR and where no rule matches. Raises nothing.
    """
    if inputs.modality != "MR":
        return None
    return next((rule.label for rule in _RULES if rule.matches(inputs)), None)


_AXES = {"ROW": "i", "COL": "j"}
_SIGNS = {0: "", 1: "-"}


def phase_encoding_direction(in_plane: str | None, csa_positive: int | None) -> str | None:
    """The axis of phase encoding and its sign: ``i``, ``i-``, ``j`` or ``j-``.

    ``in_plane`` is InPlanePhaseEncodingDirection (0018,1312): ROW or COL. ``csa_positive`` is
    PhaseEncodingDirectionPositive of the Siemens CSA image header: 0 or 1, and 1 gives the minus
    sign, as ``dicom_parser`` has it; for ROW that is the opposite of BIDS's sign. None where
    either is missing or another value.
    """
    if in_plane is None or csa_positive is None:
        return None
    axis, sign = _AXES.get(in_plane), _SIGNS.get(csa_positive)
    return None if axis is None or sign is None else axis + sign
