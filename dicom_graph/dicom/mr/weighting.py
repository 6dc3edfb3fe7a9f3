"""What an image's times and angle say of its contrast."""

import math

from dicom_graph.dicom.mr.facts import Evidence, Facts

_LONG_ECHO, _SHORT_ECHO = 60.0, 40.0
_LONG_REPETITION, _SHORT_REPETITION = 1800.0, 1200.0


def weighting(facts: Facts, weight: str, is_spin_echo: bool) -> Evidence | None:
    """The numbers that say that an image is weighted by T1, T2, PD or T2*; times are in ms.

    A spin echo: by echo and repetition time. A gradient echo: T2* from half of the T2* of brain
    (50 ms / B0); else T1 or PD where the flip angle is far above or below Ernst's, with Bottomley's
    T1 of brain (800 ms · B0^0.38; Med Phys 11:425, 1984). In between nothing is said.
    """
    found = _of_spin_echo(facts) if is_spin_echo else _of_gradient_echo(facts)
    if found != weight:
        return None
    if is_spin_echo:
        return ("EchoTime", "RepetitionTime")
    numbers = ("EchoTime", "RepetitionTime", "FlipAngle", "MagneticFieldStrength")
    return ("EchoTime", "MagneticFieldStrength") if weight == "T2*" else numbers


def _of_spin_echo(facts: Facts) -> str | None:
    echo, repetition = facts.numbers.get("EchoTime"), facts.numbers.get("RepetitionTime")
    if not echo or not repetition:
        return None
    if echo >= _LONG_ECHO and repetition >= _LONG_REPETITION:
        return "T2"
    if echo < _SHORT_ECHO and repetition >= _LONG_REPETITION and not facts.scanning("IR"):
        return "PD"
    return "T1" if echo < _SHORT_ECHO and repetition < _SHORT_REPETITION else None


def _of_gradient_echo(facts: Facts) -> str | None:
    echo, repetition, angle, field = map(
        facts.numbers.get, ("EchoTime", "RepetitionTime", "FlipAngle", "MagneticFieldStrength")
    )
    if not echo or not field:
        return None
    if echo >= 0.5 * 50 / field:
        return "T2*"
    if not repetition or not angle:
        return None
    ernst = math.degrees(math.acos(math.exp(-repetition / (800 * field**0.38))))
    if angle >= 1.3 * ernst:
        return "T1"
    return "PD" if angle <= 0.7 * ernst else None
