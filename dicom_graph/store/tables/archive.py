"""The tables. How a header is stored: interned elements, shared sets, and few own elements.

What a header holds is one packed column (`store.idlist`), read in one go. The tables
`header_element` and `element_set_member` say the same the other way round, from an element to
the headers that hold it: filters go that way, from the value up.

The bulk tables carry no foreign keys: they are written only by `store.ingest`, whole batches in
one transaction, and the checks would double its time.
"""

import datetime as dt
from typing import Any, ClassVar

from sqlalchemy import (
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    TextClause,
    Time,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dicom_graph.dicom.entities import IMAGE, PATIENT, SERIES, STUDY, Attribute, Description
from dicom_graph.dicom.entities.image import FORMAT_TABLE
from dicom_graph.store.sql.dialect import SmallestNull
from dicom_graph.store.sql.types import (
    Bytes,
    Distances,
    Id,
    Int64,
    Json,
    Text,
    UtcDateTime,
    utc_now,
)

TEXT_KEY_LENGTH = 64
"""Text is indexed by this many characters: PostgreSQL refuses index entries over 2.7 kB."""


def _partial_index(
    name: str, *columns: str | TextClause, where: str, unique: bool = False
) -> Index:
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _order_index(name: str, *columns: str) -> Index:
    """The index of a default order, in which NULL comes first on both databases."""
    return Index(name, *map(SmallestNull, columns[:-1]), columns[-1])


class Base(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        bytes: Bytes,
        int: Integer,
        float: Float(53),
        dt.datetime: UtcDateTime,
        dt.date: Date,
        dt.time: Time,
        list[str]: Json,
        list[float]: Json,
        dict[str, Any]: Json,
    }


_OF_DATABASE = "Database"
ROW_ATTRIBUTES = (
    Attribute(
        about="when it came into the database, UTC", name="created", type=dt.datetime,
        group=_OF_DATABASE,
    ),
    Attribute(
        about="when its row last changed, UTC", name="modified", type=dt.datetime,
        group=_OF_DATABASE,
    ),
)  # fmt: skip
"""What a database adds to the attributes of each entity."""
DESCRIBED_TABLES: dict[str, Table] = {}
"""The tables of the entities that are described, by name."""


class Entity(Base):
    """What all entities have: a key that is never reused, and when they came and changed.

    `edited`: the columns that a person has set; no import writes them again. The others are what
    the entity is described by, and what the class adds.
    """

    __abstract__ = True

    id: Mapped[int] = mapped_column(Id, primary_key=True, sort_order=-4)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now, sort_order=-3)
    modified: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=-2)
    uid: Mapped[str] = mapped_column(unique=True, sort_order=-1)
    edited: Mapped[list[str] | None] = mapped_column(sort_order=1000)

    def __init_subclass__(cls, *, described: Description, **options: Any) -> None:
        for place, attribute in enumerate(described.attributes):
            if attribute.table is None and attribute.name != "uid":
                kind = cls.type_annotation_map[attribute.type]
                column = mapped_column(kind, nullable=attribute.optional, sort_order=place)
                setattr(cls, attribute.name, column)
        super().__init_subclass__(**options)
        DESCRIBED_TABLES[described.name] = cls.metadata.tables[described.name]


class Patient(Entity, described=PATIENT):
    __tablename__ = "patient"
    __table_args__ = (
        _order_index("ix_patient_order", "family_name", "given_name", "id"),
        _partial_index("ix_patient_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )


class Study(Entity, described=STUDY):
    __tablename__ = "study"
    __table_args__ = (
        _order_index("ix_study_order", "date", "time", "id"),
        _partial_index("ix_study_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )


class Series(Entity, described=SERIES):
    __tablename__ = "series"
    __table_args__ = (
        Index("ix_series_study", "study_id", "patient_id"),
        Index("ix_series_patient", "patient_id", "study_id"),
        _partial_index("ix_series_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"))
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patient.id"))


class Image(Entity, described=IMAGE):
    """`header_digest` and `file_size` are those of the file that the stored header came from: only
    files that have both are ever given for the image. NULL: imported before they were noted.

    `header_patient_id`, `header_study_id`: whom and what its header names, where that is not what
    its series belongs to; no id of any row where that is not known any more.
    """

    __tablename__ = "image"
    __table_args__ = (
        _order_index("ix_image_series", "series_id", "number", "id"),
        _partial_index("ix_image_warnings", "series_id", where="warnings IS NOT NULL"),
        _partial_index("ix_image_missing", "series_id", where="missing_since IS NOT NULL"),
        _partial_index("ix_image_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id"))
    # In the place that SOP class and transfer syntax have among the attributes.
    format_id: Mapped[int | None] = mapped_column(Id, sort_order=4)
    warnings: Mapped[list[str] | None] = mapped_column(sort_order=100)
    missing_since: Mapped[dt.datetime | None] = mapped_column(sort_order=101)
    header_digest: Mapped[bytes | None] = mapped_column(sort_order=110)
    file_size: Mapped[int | None] = mapped_column(Int64, sort_order=111)
    header_patient_id: Mapped[int | None] = mapped_column(Id, sort_order=112)
    header_study_id: Mapped[int | None] = mapped_column(Id, sort_order=113)


class ImageFormat(Base):
    """What images are and how they are encoded; empty where a file does not say."""

    __tablename__ = FORMAT_TABLE
    __table_args__ = (
        UniqueConstraint("sop_class_uid", "transfer_syntax_uid"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sop_class_uid: Mapped[str]
    transfer_syntax_uid: Mapped[str]


class Directory(Base):
    """A folder that holds files; its path is stored once for all of them.

    `real_path`: without symbolic links, where that is another one, as it was at the last import.
    """

    __tablename__ = "directory"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    real_path: Mapped[str | None]


class File(Base):
    """A file of an image as it was when last read, by which import, and what it made of it.

    `missing_since`: when a sync found it gone. An image all of whose files are gone is missing.
    `digest`: of its header as read, see `header_digest`. `stamp`: what tells it from any other file
    and from itself once it is changed, see `FileVersion.stamp`. `link`: where it led, if it is a
    link. `patient_id`, `study_id`: whom and what a header names that is not the image's.
    """

    __tablename__ = "file"
    __table_args__ = (Index("ix_file_image", "image_id"), {"sqlite_with_rowid": False})

    directory_id: Mapped[int] = mapped_column(ForeignKey("directory.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(Int64)
    mtime_ns: Mapped[int] = mapped_column(Int64)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    import_job_id: Mapped[int | None] = mapped_column(Id)
    outcome: Mapped[int] = mapped_column(SmallInteger)
    missing_since: Mapped[dt.datetime | None]
    digest: Mapped[bytes | None]
    stamp: Mapped[bytes | None]
    link: Mapped[str | None]
    patient_id: Mapped[int | None] = mapped_column(Id)
    study_id: Mapped[int | None] = mapped_column(Id)


class DataElementDefinition(Base):
    """(tag, private creator, VR); the tag of a private element has 00 for its block."""

    __tablename__ = "data_element_definition"
    __table_args__ = (
        UniqueConstraint("tag", "private_creator", "vr"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    tag: Mapped[int] = mapped_column(Int64)
    private_creator: Mapped[str]
    vr: Mapped[str]
    keyword: Mapped[str]
    name: Mapped[str]


class ElementDigest(Base):
    """Which content is which element: what makes an element be stored once."""

    __tablename__ = "element_digest"
    __table_args__ = ({"sqlite_with_rowid": False},)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Id)


class DataElement(Base):
    """One distinct element, never changed once written. `length` is in bytes.

    `block`: of a private element, the block that its creator reserves (16 to 255), else 0.
    Only elements without a row in `data_element_value` (`n_values` 0) are indexed by definition
    here; the others are found through their values.

    `packed` is null where the values give the bytes back, or where the file alone has them and
    `sha256` is theirs; where it is shorter than `length` it is compressed (`dicom.packing`).
    """

    __tablename__ = "data_element"
    __table_args__ = (
        _partial_index("ix_data_element_without_values", "definition_id", where="n_values = 0"),
        _partial_index("ix_data_element_warned", "definition_id", where="has_warnings"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    definition_id: Mapped[int] = mapped_column(Id)
    block: Mapped[int] = mapped_column(SmallInteger)
    vm: Mapped[int] = mapped_column(Integer)
    n_values: Mapped[int] = mapped_column(Integer)
    has_warnings: Mapped[bool]
    length: Mapped[int] = mapped_column(Int64)
    packed: Mapped[bytes | None]
    sha256: Mapped[bytes | None]
    warning: Mapped[str | None]


class DataElementValue(Base):
    """One value of an element, in the column of its meaning. `index` counts from 0."""

    __tablename__ = "data_element_value"
    __table_args__ = (
        _partial_index(
            "ix_data_element_value_text",
            "definition_id",
            text(f"substr(text, 1, {TEXT_KEY_LENGTH})"),
            where="text IS NOT NULL AND number IS NULL",
        ),
        *[
            _partial_index(
                f"ix_data_element_value_{column}",
                "definition_id",
                column,
                where=f"{column} IS NOT NULL",
            )
            for column in ("number", "date", "time", "datetime")
        ],
        {"sqlite_with_rowid": False},
    )

    element_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    definition_id: Mapped[int] = mapped_column(Id)
    text: Mapped[str | None]
    number: Mapped[float | None]
    date: Mapped[dt.date | None]
    time: Mapped[dt.time | None]
    datetime: Mapped[dt.datetime | None] = mapped_column(DateTime)
    warning: Mapped[str | None]


class ElementSet(Base):
    """Elements that headers of one series have in common; always a subset of each of them."""

    __tablename__ = "element_set"
    __table_args__ = (
        Index("ix_element_set_series", "series_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    series_id: Mapped[int] = mapped_column(Id)
    members: Mapped[bytes]


class Posting(Base):
    """From an element to what holds it, several to a row: see `store.postings`.

    `first_id`: of the first that was written; `distances`: from it, of all that hold the element;
    NULL: the first alone does. They are below `SPAN`.
    """

    __abstract__ = True
    SPAN: ClassVar[int]

    element_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    first_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    distances: Mapped[list[int] | None] = mapped_column(Distances)


class ElementSetMember(Posting):
    """From an element to the shared sets that hold it."""

    __tablename__ = "element_set_member"
    __table_args__ = ({"sqlite_with_rowid": False},)
    SPAN = 1 << 8


class Header(Base):
    """A data set: of an image, or an item (`index` from 0) of a sequence element.

    Its elements are the members of its shared set and its `own`.
    """

    __tablename__ = "header"
    __table_args__ = (
        _partial_index(
            "ix_header_image", "image_id", where="image_id IS NOT NULL", unique=True
        ).ddl_if(dialect="postgresql"),
        _partial_index(
            "ix_header_image_set",
            "image_id",
            "shared_set_id",
            where="image_id IS NOT NULL",
            unique=True,
        ).ddl_if(dialect="sqlite"),
        _partial_index(
            "ix_header_item", "element_id", "index", where="element_id IS NOT NULL", unique=True
        ),
        _partial_index("ix_header_shared_set", "shared_set_id", where="shared_set_id IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    image_id: Mapped[int | None] = mapped_column(Id)
    element_id: Mapped[int | None] = mapped_column(Id)
    index: Mapped[int | None] = mapped_column(Integer)
    shared_set_id: Mapped[int | None] = mapped_column(Id)
    own: Mapped[bytes]
    mode: Mapped[int | None] = mapped_column(SmallInteger)


class HeaderElement(Posting):
    """From an element to the headers that hold it beyond their shared set."""

    __tablename__ = "header_element"
    __table_args__ = ({"sqlite_with_rowid": False},)
    SPAN = 1 << 12


class CsaPath(Base):
    """A place in Siemens CSA headers, as `MrPhoenixProtocol.sSliceArray.lSize` or `B_value`.

    `header`: 16 of the image's, 32 of the series', as in their tags. `list_path` is the path of
    the list whose value it is.
    """

    __tablename__ = "csa_path"
    __table_args__ = (
        UniqueConstraint("header", "path"),
        _partial_index("ix_csa_path_list", "header", "list_path", where="list_path IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    header: Mapped[int] = mapped_column(SmallInteger)
    path: Mapped[str]
    list_path: Mapped[str | None]


class CsaNumber(Base):
    """A number in a CSA header. `holder_id`: the element; the id of a part is negated."""

    __tablename__ = "csa_number"
    __table_args__ = ({"sqlite_with_rowid": False},)

    path_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    number: Mapped[float] = mapped_column(primary_key=True, autoincrement=False)
    holder_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)


class CsaText(Base):
    """A text in a CSA header; without `text`, a list or an object with something in it."""

    __tablename__ = "csa_text"
    __table_args__ = (
        Index("ix_csa_text_path", "path_id", text(f"substr(text, 1, {TEXT_KEY_LENGTH})")),
        {"sqlite_with_rowid": False},
    )

    holder_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    path_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    text: Mapped[str | None]


class CsaPart(Base):
    """Values that CSA headers have in common: those of a series differ in a few."""

    __tablename__ = "csa_part"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    header: Mapped[int] = mapped_column(SmallInteger)


class CsaPartElement(Base):
    """From a part to the elements that hold it."""

    __tablename__ = "csa_part_element"
    __table_args__ = ({"sqlite_with_rowid": False},)

    part_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    element_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)


class Generation(Base):
    """One row: how often rows were deleted that a writer or a cache may remember by their ids."""

    __tablename__ = "generation"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    deletions: Mapped[int] = mapped_column(Int64)
    prunes: Mapped[int] = mapped_column(Int64)


class ReadingVersion(Base):
    """One row: by which version of `dicom.revisions` all is read that is stored, or a later one.

    `image_id`: the last image that a reindex to the version `target` has read again.
    """

    __tablename__ = "reading_version"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(Integer)
    image_id: Mapped[int] = mapped_column(Id)
    target: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class ImportJob(Base):
    """An import and its report, from its start to its end. `owner`: the process that runs it.

    `verify`: known files are read again. `sync`: images whose files are gone are marked, or with
    `prune` deleted. `retry_of`: the job whose failures this one reads again. `exclude`:
    the entity, its id, and those of its columns that a refresh leaves as they are.
    """

    __tablename__ = "import_job"
    __table_args__ = (
        _partial_index("ix_import_job_retry", "retry_of", where="retry_of IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    status: Mapped[str]
    origin: Mapped[str]
    owner: Mapped[str | None]
    paths: Mapped[list[str]]
    mode: Mapped[str]
    pattern: Mapped[str | None]
    stop_on_error: Mapped[bool]
    verify: Mapped[bool] = mapped_column(default=False, server_default=false())
    sync: Mapped[bool] = mapped_column(default=False, server_default=false())
    prune: Mapped[bool] = mapped_column(default=False, server_default=false())
    storage: Mapped[str] = mapped_column(default="IN_PLACE", server_default="IN_PLACE")
    exclude: Mapped[dict[str, Any] | None]
    retry_of: Mapped[int | None] = mapped_column(Id)
    cancel_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    found: Mapped[int] = mapped_column(Int64, default=0)
    images_created: Mapped[int] = mapped_column(Int64, default=0)
    images_updated: Mapped[int] = mapped_column(Int64, default=0)
    images_existing: Mapped[int] = mapped_column(Int64, default=0)
    skipped: Mapped[int] = mapped_column(Int64, default=0)
    failed: Mapped[int] = mapped_column(Int64, default=0)
    missing: Mapped[int] = mapped_column(Int64, default=0, server_default=text("0"))
    moved: Mapped[int] = mapped_column(Int64, default=0, server_default=text("0"))
    error: Mapped[str | None]
    started_at: Mapped[dt.datetime | None]
    resumed_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    heartbeat_at: Mapped[dt.datetime | None]


class ImportFailure(Base):
    """A file that an import could not take, and why; or skipped, and what it is.

    `batch`: the part of a queued import.
    """

    __tablename__ = "import_failure"
    __table_args__ = (
        Index("ix_import_failure_job", "job_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id"))
    path: Mapped[str]
    message: Mapped[str]
    batch: Mapped[int | None] = mapped_column(Id)
    is_skipped: Mapped[bool] = mapped_column(default=False, server_default=false())


class ImportBatch(Base):
    """A part of a queued import, until that has ended.

    `places`: what it reads, and `cursor`: how far it has planned, see `importing.queue`.
    `attempt`: how often it was begun; `lost`: how often it then came to no end. `counts`: its share
    of the job's.
    """

    __tablename__ = "import_batch"

    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    status: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    places: Mapped[list[str] | None]
    cursor: Mapped[list[str] | None]
    counts: Mapped[dict[str, Any]]
    error: Mapped[str | None]


class Protocol(Base):
    """What the series of an acquisition must be: JSON as `dicom.protocols` reads it."""

    __tablename__ = "protocol"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    modified: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    name: Mapped[str] = mapped_column(unique=True)
    content: Mapped[dict[str, Any]]


class QueueMigration(Base):
    """A migration of the job queue's own tables that this database has had."""

    __tablename__ = "queue_migration"

    name: Mapped[str] = mapped_column(primary_key=True)
