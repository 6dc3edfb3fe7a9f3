"""The table of protocols."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Id, utc_now
from dicom_graph.store.tables.base import Base


class Protocol(Base):
    """What the series of an acquisition must be: JSON as `dicom.protocols` reads it."""

    __tablename__ = "protocol"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    modified: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    name: Mapped[str] = mapped_column(unique=True)
    content: Mapped[dict[str, Any]]
