"""What the codes of some CS elements mean (PS3.3: C.7.3.1.1.1, C.7.3.1.1.2, C.7.1.1, C.8.3.1)."""

_MODALITY = {
    "ANN": "Annotation", "AR": "Autorefraction", "ASMT": "Content Assessment Results",
    "AU": "Audio", "BDUS": "Bone Densitometry (ultrasound)", "BI": "Biomagnetic imaging",
    "BMD": "Bone Densitometry (X-ray)", "CFM": "Confocal Microscopy",
    "CR": "Computed Radiography", "CT": "Computed Tomography", "CTPROTOCOL": "CT Protocol",
    "DG": "Diaphanography", "DMS": "Dermoscopy", "DOC": "Document", "DX": "Digital Radiography",
    "ECG": "Electrocardiography", "EEG": "Electroencephalography", "EMG": "Electromyography",
    "EOG": "Electrooculography", "EPS": "Cardiac Electrophysiology", "ES": "Endoscopy",
    "FID": "Fiducials", "GM": "General Microscopy", "HC": "Hard Copy",
    "HD": "Hemodynamic Waveform", "IO": "Intra-Oral Radiography",
    "IOL": "Intraocular Lens Data", "IVOCT": "Intravascular Optical Coherence Tomography",
    "IVUS": "Intravascular Ultrasound", "KER": "Keratometry",
    "KO": "Key Object Selection", "LEN": "Lensometry", "LS": "Laser surface scan",
    "M3D": "Model for 3D Manufacturing", "MG": "Mammography", "MR": "Magnetic Resonance",
    "NM": "Nuclear Medicine", "OAM": "Ophthalmic Axial Measurements",
    "OCT": "Optical Coherence Tomography (non-Ophthalmic)", "OP": "Ophthalmic Photography",
    "OPM": "Ophthalmic Mapping", "OPT": "Ophthalmic Tomography",
    "OPTBSV": "Ophthalmic Tomography B-scan Volume Analysis",
    "OPTENF": "Ophthalmic Tomography En Face", "OPV": "Ophthalmic Visual Field",
    "OSS": "Optical Surface Scan", "OT": "Other", "PA": "Photoacoustic",
    "PLAN": "Plan", "POS": "Position Sensor", "PR": "Presentation State",
    "PT": "Positron emission tomography (PET)", "PX": "Panoramic X-Ray",
    "REG": "Registration", "RESP": "Respiratory Waveform", "RF": "Radio Fluoroscopy",
    "RG": "Radiographic imaging (conventional film/screen)", "RTDOSE": "Radiotherapy Dose",
    "RTIMAGE": "Radiotherapy Image", "RTINTENT": "Radiotherapy Intent",
    "RTPLAN": "Radiotherapy Plan", "RTRAD": "RT Radiation",
    "RTRECORD": "RT Treatment Record", "RTSEGANN": "Radiotherapy Segment Annotation",
    "RTSTRUCT": "Radiotherapy Structure Set", "RWV": "Real World Value Map",
    "SEG": "Segmentation", "SM": "Slide Microscopy", "SMR": "Stereometric Relationship",
    "SR": "SR Document", "SRF": "Subjective Refraction", "STAIN": "Automated Slide Stainer",
    "TEXTUREMAP": "Texture Map", "TG": "Thermography", "US": "Ultrasound",
    "VA": "Visual Acuity", "XA": "X-Ray Angiography", "XAPROTOCOL": "XA Protocol",
    "XC": "External-camera Photography",
}  # fmt: skip
_PATIENT_POSITION = {
    "HFP": "Head First-Prone", "HFS": "Head First-Supine",
    "HFDR": "Head First-Decubitus Right", "HFDL": "Head First-Decubitus Left",
    "FFDR": "Feet First-Decubitus Right", "FFDL": "Feet First-Decubitus Left",
    "FFP": "Feet First-Prone", "FFS": "Feet First-Supine",
    "LFP": "Left First-Prone", "LFS": "Left First-Supine",
    "RFP": "Right First-Prone", "RFS": "Right First-Supine",
    "AFDR": "Anterior First-Decubitus Right", "AFDL": "Anterior First-Decubitus Left",
    "PFDR": "Posterior First-Decubitus Right", "PFDL": "Posterior First-Decubitus Left",
    "SITTING": "Sitting",
}  # fmt: skip
_SCANNING_SEQUENCE = {
    "SE": "Spin Echo", "IR": "Inversion Recovery", "GR": "Gradient Recalled",
    "EP": "Echo Planar", "RM": "Research Mode",
}  # fmt: skip
_SEQUENCE_VARIANT = {
    "SK": "Segmented k-Space", "MTC": "Magnetization Transfer Contrast", "SS": "Steady State",
    "TRSS": "Time Reversed Steady State", "SP": "Spoiled", "MP": "MAG Prepared",
    "OSP": "Oversampling Phase", "NONE": "None",
}  # fmt: skip
_RETIRED_MODALITIES = frozenset({
    "AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS", "LP", "MA", "MS", "OPR",
    "ST", "VF",
})  # fmt: skip
"""Those of older editions of PS3.3 C.7.3.1.1.1: files have them, and so may edits."""
_MR_ACQUISITION_TYPE = {
    "2D": "2D: frequency x phase", "3D": "3D: frequency x phase x phase",
}  # fmt: skip
_DISPLAY_NAMES = {
    "MRAcquisitionType": _MR_ACQUISITION_TYPE,
    "Modality": _MODALITY,
    "PatientPosition": _PATIENT_POSITION,
    "PatientSex": {"M": "Male", "F": "Female", "O": "Other"},
    "ScanningSequence": _SCANNING_SEQUENCE,
    "SequenceVariant": _SEQUENCE_VARIANT,
}


def display_name(keyword: str, code: str | None) -> str | None:
    """The meaning of a code, None for one that the standard does not define."""
    return _DISPLAY_NAMES.get(keyword, {}).get(code or "")


def known_codes(keyword: str) -> frozenset[str]:
    """Returns the codes that an element may have, also retired ones; none where any may be."""
    retired = _RETIRED_MODALITIES if keyword == "Modality" else frozenset()
    return frozenset(_DISPLAY_NAMES.get(keyword, ())) | retired
