"""Moments in the zone of UTC: (0008,0201) is +0000, which changes none of them.

So what is stored of such an element is what is stored of one whose zone nobody knows, but for its
digest, of which the zone is a part.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.dicom.parsing.rereading import StoredElement, digests_in_utc
from dicom_graph.store.tables.headers import ElementDigest


async def ids_in_utc(connection: AsyncConnection, elements: Sequence[StoredElement]) -> list[int]:
    """The ids of those elements of VR DT that are in that zone; a statement where any may be."""
    # An element without a zone has the same bytes, so the same two digests would be its.
    digests = {digest for each in elements for digest in digests_in_utc(each)}
    if not digests:
        return []
    statement = select(ElementDigest.id).where(ElementDigest.digest.in_(sorted(digests)))
    found = await connection.execute(statement)
    return sorted({each.id for each in elements}.intersection(found.scalars()))
