"""Where enhanced images of Siemens' software XA keep their protocol."""

from dicom_graph.dicom.csa.header import XA_CREATOR, XA_GROUP, XA_PROTOCOL
from dicom_graph.dicom.elements.contents import Element, Item, private_element
from dicom_graph.dicom.frame_elements import SHARED

_GROUPS = XA_GROUP << 16 | 0xFE
_PROTOCOL = XA_GROUP << 16 | XA_PROTOCOL


def xa_protocol(element: Element | None) -> Element | None:
    """The protocol in SharedFunctionalGroupsSequence; None where there is none, or for another."""
    if element is None or element.tag != SHARED:
        return None
    sequence = private_element(_first_item(element), XA_CREATOR, _GROUPS)
    if sequence is None:
        return None
    return private_element(_first_item(sequence), XA_CREATOR, _PROTOCOL)


def _first_item(sequence: Element) -> Item:
    return sequence.items[0] if sequence.items else ()
