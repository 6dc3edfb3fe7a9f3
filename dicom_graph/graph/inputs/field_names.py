"""Names of fields, as clients write them: echoTime is the column echo_time."""

import re
from collections.abc import Collection

from dicom_graph.errors import BadInput, nearest
from dicom_graph.store.read.fields import measurable_fields


def aggregate_field(entity: str, name: str) -> str:
    """The store's name of a field that has statistics. Raises BadInput."""
    return _known(name, measurable_fields(entity), "no numeric or date field")


def camel_case(name: str) -> str:
    """echo_time as echoTime."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _known(name: str, fields: Collection[str], what: str) -> str:
    by_name = {camel_case(field): field for field in fields}
    if name not in by_name:
        hint = nearest(re.sub(r"[\x00-\x1f]", "", name)[:80], by_name)
        raise BadInput(f"{name[:80]!r} is {what} of these objects{hint}")
    return by_name[name]
