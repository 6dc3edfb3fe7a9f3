"""Names of files in BIDS: which entities there are, in which order, and which a suffix has."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

ENTITIES = (
    "sub", "ses", "task", "acq", "ce", "trc", "rec", "dir", "run", "echo", "flip", "inv", "mt",
    "part", "chunk",
)  # fmt: skip
"""The entities of images that a plan has, in the order of names."""
_INDEXES = frozenset(("run", "echo", "flip", "inv", "chunk"))
_CHOICES = {"mt": ("on", "off"), "part": ("mag", "phase", "real", "imag")}
_ZEROS = re.compile(r"-0+(?=[0-9]+(?:[_/]|$))")
_LABEL, _INDEX = re.compile(r"[0-9A-Za-z]+"), re.compile(r"[0-9]+")


class Suffix(NamedTuple):
    """What entities a suffix must have, and which it may have; `sub` is always one."""

    required: frozenset[str]
    optional: frozenset[str]


_ANY = "ses acq run"
_RULES = (
    ("anat", "T1w T2w PDw T2starw FLAIR inplaneT1 inplaneT2 PDT2 angio T2star FLASH PD", "",
     "task echo part ce rec chunk"),
    ("anat", "T1map T2map T2starmap R1map R2map R2starmap PDmap MTRmap MTsat UNIT1 T1rho MWFmap "
     "MTVmap Chimap S0map M0map", "", "task ce rec chunk"),
    ("anat", "MEGRE", "echo", "task part ce rec chunk"),
    ("anat", "MESE", "echo", "task dir part ce rec chunk"),
    ("anat", "VFA", "flip", "task echo part ce rec chunk"),
    ("anat", "IRT1", "inv", "task part ce rec chunk"),
    ("anat", "MP2RAGE", "inv", "task echo flip part ce rec chunk"),
    ("anat", "MPM MTS", "flip mt", "task echo part ce rec chunk"),
    ("anat", "MTR", "mt", "task part ce rec chunk"),
    ("func", "bold cbv sbref", "task", "echo dir part ce rec chunk"),
    ("dwi", "dwi sbref", "", "dir part rec chunk"),
    ("dwi", "ADC FA S0map colFA expADC trace", "", "dir rec chunk"),
    ("fmap", "phasediff phase1 phase2 magnitude1 magnitude2 magnitude fieldmap", "", "chunk"),
    ("fmap", "epi m0scan", "", "dir part ce rec chunk"),
    ("fmap", "TB1DAM", "flip", "inv part ce rec chunk"),
    ("fmap", "TB1EPI", "echo flip", "inv part ce rec chunk"),
    ("fmap", "TB1AFI TB1TFL TB1RFM RB1COR", "", "echo flip inv part ce rec chunk"),
    ("fmap", "TB1SRGE", "flip inv", "echo part ce rec chunk"),
    ("fmap", "TB1map RB1map", "", "ce rec chunk"),
    ("perf", "asl m0scan", "", "echo dir part rec"),
    ("pet", "pet", "", "task trc rec"),
)  # fmt: skip
SUFFIXES: Mapping[tuple[str, str], Suffix] = {
    (datatype, suffix): Suffix(
        frozenset(required.split()),
        frozenset(f"{_ANY} {optional}".split()) - ({"acq"} if datatype == "pet" else set()),
    )
    for datatype, suffixes, required, optional in _RULES
    for suffix in suffixes.split()
}
"""By datatype and suffix, of images that can be written as NIfTI."""
DATATYPES = tuple(dict.fromkeys(datatype for datatype, _ in SUFFIXES))


def label(text: str) -> str:
    """The letters and digits of a text, as a label may have them."""
    return "".join(_LABEL.findall(text))


def volume_name(datatype: str, suffix: str, entities: Mapping[str, str]) -> str:
    """The path of a volume in its data set, without an ending."""
    sub, ses = f"sub-{entities['sub']}", entities.get("ses")
    parts = [f"{key}-{entities[key]}" for key in ENTITIES if entities.get(key)]
    folders = [sub, f"ses-{ses}", datatype] if ses else [sub, datatype]
    return "/".join([*folders, "_".join([*parts, suffix])])


def named(name: str) -> tuple[str, str, dict[str, str]] | None:
    """The datatype, suffix and entities of a name that `volume_name` returned; None of another."""
    folder, _, last = name.rpartition("/")
    *parts, suffix = last.split("_")
    datatype = folder.rpartition("/")[2]
    entities = dict(part.split("-", 1) for part in parts if "-" in part)
    if any(problems(datatype, suffix, entities)):
        return None
    return (datatype, suffix, entities) if volume_name(datatype, suffix, entities) == name else None


def folded(name: str) -> str:
    """What is equal of names that only look different: by case, or by zeros before a number."""
    return _ZEROS.sub("-", name).casefold()


def problems(datatype: str, suffix: str, entities: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a name, for people."""
    known = SUFFIXES.get((datatype, suffix))
    if known is None:
        suffixes = [each for of, each in SUFFIXES if of == datatype]
        if suffixes:
            yield f"{datatype} has no suffix {suffix!r}; it has {', '.join(suffixes)}"
        else:
            yield f"there is no datatype {datatype!r}; there are {', '.join(DATATYPES)}"
        return
    given = {key: value for key, value in entities.items() if value}
    for key in _ordered(({"sub"} | known.required) - given.keys()):
        yield f"{suffix} in {datatype} must have a {key}"
    for key in _ordered(given.keys() - {"sub"} - known.required - known.optional):
        yield f"{suffix} in {datatype} has no {key}"
    for key, value in given.items():
        if not (_INDEX if key in _INDEXES else _LABEL).fullmatch(value):
            what = "a number" if key in _INDEXES else "letters and digits"
            yield f"{key} is {what}, not {value[:40]!r}"
        elif value not in _CHOICES.get(key, (value,)):
            yield f"{key} is one of {', '.join(_CHOICES[key])}, not {value[:40]!r}"


def _ordered(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=ENTITIES.index)
