"""What the table of the confidentiality profile does not have, and what still may name somebody.

The profile (PS3.15 Annex E) knows the elements that identify a patient. What is promised here is
more: that nobody is named, so neither who owns, creates, operates or asks for something, nor a
passenger in a security scan; and PS3.6 gets elements that the table gets later. So it is closed: an
element whose keyword has a word for a person, a place or an organisation is withheld, and so is a
text or a block of bytes, unless it is named here as technical.
"""

import re
from collections.abc import Set

_WORD = re.compile(r"[A-Z]+s?(?![a-z])|[A-Z][a-z]*|[a-z]+|[0-9]+")
_WHOLE_GROUPS = frozenset(
    {
        0x0000, 0x0002, 0x0004, 0x0006,  # messages, file meta information, directories
        0x0088, 0x0100, 0x0400, 0x4FFE,  # media, authorizations, signatures, encrypted elements
        0x2000, 0x2010, 0x2020, 0x2030, 0x2040, 0x2100, 0x2110, 0x2120, 0x2130, 0x2200,  # printing
        0x4010, 0xFFFA, 0xFFFC, 0xFFFE,  # security screening, signatures, padding, delimiters
    }
)  # fmt: skip
_ONLY_OF_GROUPS: dict[int, Set[str]] = {
    0x0010: {"AnatomicalOrientationType", "PatientID", "QualityControlSubject",
             "QualityControlSubjectTypeCodeSequence"},
    0x0012: {"DeidentificationMethodCodeSequence", "LongitudinalTemporalEventType",
             "LongitudinalTemporalOffsetFromEvent", "PatientIdentityRemoved"},
    0x0038: set(),
}  # fmt: skip
"""Of a group about a patient, a trial or a visit: what is kept."""

PERSON_WORDS = frozenset(
    """
    Address Addresses Admission Admissions Admitting Agency Approval Approver Asserter Assigned
    Assigning Attending Author Authority Authorization Authors Barcode Billing Birth Boarding
    Calendar Carrier Certificate Certification Comment Comments Consent Consultant Contact
    Country Creator Death Department Email Ethnic Facility Fax Filler Guardian Hospital Human
    Institution Institutional Insurance Interpreter Issuer Itinerary Jurisdiction Military
    Mother Note Notes Nurse Observer Occupation Operator Operators Organization Organizational
    Owner Owners Participant Participants Participation Passenger Performer Performers Person
    Personnel Persons Phone Physician Physicians Placer Radiologist Radiologists Recipient
    Recipients Recorder Religious Requester Requesting Residence Resident Responsible Reviewer
    Sender Signature Telecom Telephone Transcriber User Users Verifier Verifying Visit Welder
    Worker
    """.split()  # noqa: SIM905
)
"""Words of keywords. An element with one of them is withheld, unless it is among `TECHNICAL`; one
of numbers only with one of `NUMBER_WORDS`.
"""

TEXT_WORDS = frozenset(
    """
    Explanation ID IDs Identification Identifier Identifiers Instruction Instructions Key Lot
    Name Names Number Numbers Remark Remarks Serial Source Supplier
    """.split()  # noqa: SIM905
)
"""The same for elements of text (LO and SH) alone."""

NUMBER_WORDS = frozenset({"Birth", "Death", "Fax", "Phone", "Telephone"})

TECHNICAL = frozenset(
    """
    AlgorithmName ApprovalStatus CSSFontName CollimatorGridName DetectorManufacturerModelName
    DetectorManufacturerName DimensionIndexPrivateCreator DimensionOrganizationSequence
    DimensionOrganizationType DoseModeName EnergyWindowName FilterByOperator FontName
    FunctionalGroupPrivateCreator InterventionDrugName ManufacturerModelName MappingResourceName
    MultiCoilElementName OpticalPathIdentifier PulseSequenceName ReceiveCoilManufacturerName
    ReceiveCoilName ReferencedOpticalPathIdentifier SecondaryCaptureDeviceManufacturerModelName
    SegmentAlgorithmName SequenceName SourceIsotopeName StackID StageName
    TransmitCoilManufacturerName TransmitCoilName TriggerSourceOrType ViewName
    WindowCenterWidthExplanation
    """.split()  # noqa: SIM905
)
"""What has such a word and names nobody: devices, algorithms, links within a file."""

BYTES = frozenset(
    """
    AlphaPaletteColorLookupTableData AnnotationIndexList BlendingLookupTableData BlockEdgeData
    BluePaletteColorLookupTableData ChannelMaximumValue ChannelMinimumValue
    CompensatorDistalThicknessMap CompensatorProximalThicknessMap DoubleFloatPixelData
    DoublePointCoordinatesData FilterLookupTableData FirstOrderPhaseCorrectionAngle
    FloatPixelData FloatingPointValues GreenPaletteColorLookupTableData LUTData
    LongEdgePointIndexList LongPrimitivePointIndexList LongTrianglePointIndexList
    LongVertexPointIndexList PixelData PointCoordinatesData RecommendedDisplayCIELabValueList
    RedPaletteColorLookupTableData SegmentedAlphaPaletteColorLookupTableData
    SegmentedBluePaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
    SegmentedRedPaletteColorLookupTableData SpectroscopyData TrackPointIndexList
    TwoDimensionalToThreeDimensionalMapData UValueData VValueData VectorCoordinateData
    VectorGridData VerticesOfThePolygonalOutline VolumetricCurvePoints
    VolumetricCurveUpDirections WaveformData WaveformPaddingValue
    """.split()  # noqa: SIM905
)
"""The elements of bytes that are arrays of measured values, or tables of them."""
VOICES = frozenset({0x54001010})
"""Of those WaveformData, in which somebody may speak."""
_BYTES_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBER_VRS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})

_WRITTEN_BY_PEOPLE = frozenset(
    """
    AssessmentLabel CompletionFlagDescription ConfidentialityCode ContentDescription
    DeidentificationMethod DeletionLock DisplaySetLabel DisplaySetPresentationGroupDescription
    FilmSessionLabel FixationDeviceLabel FrameLabel FrameOfInterestDescription GraphicGroupLabel
    GraphicLayerDescription HangingProtocolDescription ImageSetLabel IndicationLabel
    OphthalmicAxialLengthDataSourceDescription PatientReliabilityIndicator PatientSetupLabel
    PerformedProcedureTypeDescription PertinentDocumentsSequence PertinentResourcesSequence
    ProcedureStepLabel PropertyLabel RTImageLabel ReasonForChannelOmissionDescription
    ResourceDescription SetupDeviceLabel ShieldingDeviceLabel SurgicalTechnique TargetLabel
    ToleranceTableLabel WorklistLabel
    """.split()  # noqa: SIM905
)
"""Texts that somebody types, and links to documents about somebody."""


def words(keyword: str) -> list[str]:
    """The words of a keyword: HumanPerformerName is Human, Performer and Name."""
    return _WORD.findall(keyword)


def is_person_like(tag: int, keyword: str, vr: str) -> bool:
    """Whether an element of PS3.6 is withheld though the profile does not say so.

    UIDs are not, whatever they are of: they are replaced.
    """
    group = tag >> 16
    if group in _WHOLE_GROUPS or keyword in _WRITTEN_BY_PEOPLE:
        return True
    if vr == "UI":
        return False
    if group in _ONLY_OF_GROUPS:
        return keyword not in _ONLY_OF_GROUPS[group]
    # What a hanging protocol looks for may be any element's value.
    if group == 0x0072 and keyword.startswith("Selector") and keyword.endswith("Value"):
        return True
    if vr in _BYTES_VRS:
        return keyword not in BYTES
    if keyword in TECHNICAL:
        return False
    found = set(words(keyword))
    if vr in _NUMBER_VRS:
        return bool(found & NUMBER_WORDS)
    return bool(found & PERSON_WORDS or (vr in ("LO", "SH") and found & TEXT_WORDS))
