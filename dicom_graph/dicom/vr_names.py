"""What the value representations are called (PS3.5 table 6.2-1)."""

_NAMES = {
    "AE": "Application Entity", "AS": "Age String", "AT": "Attribute Tag", "CS": "Code String",
    "DA": "Date", "DS": "Decimal String", "DT": "Date Time", "FD": "Floating Point Double",
    "FL": "Floating Point Single", "IS": "Integer String", "LO": "Long String",
    "LT": "Long Text", "OB": "Other Byte", "OD": "Other Double", "OF": "Other Float",
    "OL": "Other Long", "OV": "Other 64-bit Very Long", "OW": "Other Word", "PN": "Person Name",
    "SH": "Short String", "SL": "Signed Long", "SQ": "Sequence of Items", "SS": "Signed Short",
    "ST": "Short Text", "SV": "Signed 64-bit Very Long", "TM": "Time",
    "UC": "Unlimited Characters", "UI": "Unique Identifier (UID)", "UL": "Unsigned Long",
    "UN": "Unknown", "UR": "Universal Resource Identifier or Universal Resource Locator (URI/URL)",
    "US": "Unsigned Short", "UT": "Unlimited Text", "UV": "Unsigned 64-bit Very Long",
}  # fmt: skip


def vr_name(vr: str) -> str | None:
    """Returns what a value representation is called; None for one that the standard has not."""
    return _NAMES.get(vr)
