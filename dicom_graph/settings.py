"""Configuration, from environment variables that start with DICOM_GRAPH_ and from `.env`."""

import os
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dicom_graph.settings_names import check_names

Network = IPv4Network | IPv6Network


class SettingsError(ValueError):
    """A setting is wrong; the message is one line that names it."""


def default_folder() -> Path:
    """Where the database lies if nothing else is set."""
    return Path.home() / ".dicom-graph"


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Settings(BaseSettings):
    """All settings. The README's table is held to these fields by a test."""

    model_config = SettingsConfigDict(
        env_prefix="DICOM_GRAPH_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    database_url: str = Field(
        default_factory=lambda: f"sqlite:///{default_folder() / 'database.sqlite3'}",
        description="Where the index is kept: `sqlite:///PATH` or `postgresql://USER:PASSWORD"
        "@HOST/NAME`.",
    )
    import_roots: Annotated[list[Path], NoDecode] = Field(
        default_factory=lambda: [Path.home(), Path.cwd()],
        description="Folders that `importPath` may read, separated by `:` (`;` on Windows); "
        "symbolic links are resolved first.",
    )
    storage_root: Path | None = Field(
        default=None,
        description="Folder for files that are copied, moved or uploaded; none by default.",
    )
    import_mode: Literal["minimal", "normal", "full"] = Field(
        default="normal",
        description="How much of a header an import keeps that does not say it: `minimal`, "
        "`normal` or `full`.",
    )
    import_storage: Literal["in-place", "copy", "move"] = Field(
        default="in-place",
        description="Where an import that does not say it keeps the files: `in-place`; `copy`, in "
        "the storage root, and the originals too; `move`, there alone.",
    )
    max_upload_megabytes: int = Field(
        default=2048,
        ge=1,
        le=1_000_000,
        description="The largest upload, as it is sent and as its archives unpack.",
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"],
        description="Names under which the server may be addressed, separated by commas; `*` for "
        "any. The address of `serve --host` is always one.",
    )
    batch_size: int = Field(
        default=1000, ge=1, le=10_000, description="Files written in one transaction."
    )
    import_processes: int = Field(
        default_factory=available_cores,
        ge=1,
        le=256,
        description="Processes that read the files of a large import, beside the one that writes; "
        "with 1 that one does both.",
    )
    file_seconds: float = Field(
        default=120,
        gt=0,
        le=86_400,
        description="How long an import waits for a file, or for the names in a folder, that gives "
        "no answer; then that one fails and the import goes on.",
    )
    queue: Literal["local", "procrastinate"] = Field(
        default="local",
        description="Who runs the imports of the API: `local`, the server itself; "
        "`procrastinate`, workers (PostgreSQL only).",
    )
    queue_batch_files: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Files that a worker takes at once.",
    )
    queue_stall_seconds: float = Field(
        default=30.0,
        ge=0.5,
        le=3600,
        description="A worker that gives no sign for so many seconds counts as dead; others take "
        "over what it had.",
    )
    max_inline_bytes: int = Field(
        default=65_536,
        ge=0,
        le=16_777_216,
        description="Binary values of more bytes keep length and SHA-256 in the database; the "
        "bytes are read from the file on demand.",
    )
    reindex: Literal["command", "background"] = Field(
        default="command",
        description="What a newer version reads otherwise than the one that stored it is read "
        "again by `command` (`dicom-graph db reindex`), or in the `background` of a server.",
    )
    max_page_size: int = Field(
        default=10_000, ge=1, le=10_000, description="The largest `first` or `last` of a page."
    )
    element_cache_megabytes: int = Field(
        default=128,
        ge=1,
        le=1_000_000,
        description="Memory that a server gives to the data elements it read lately, about.",
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=1000, description="Database connections that a server holds."
    )
    login: Literal["auto", "required"] = Field(
        default="auto",
        description="`auto`: once there is a user, nobody is answered without a name; `required`: "
        "also while there is none.",
    )
    session_hours: float = Field(
        default=12, gt=0, le=8760, description="How long a login on the page lasts."
    )
    proxy_user_header: str = Field(
        default_factory=str,
        description="The header in which a reverse proxy names the user it has authenticated, "
        "such as `X-Forwarded-User`.",
    )
    trusted_proxies: Annotated[list[Network], NoDecode] = Field(
        default_factory=list,
        description="Addresses or networks of the proxies that may name users and the addresses "
        "of clients, separated by commas.",
    )
    proxy_role: str = Field(
        default_factory=str,
        description="The role of users that a proxy names and the database does not know: "
        "viewer, importer, editor or admin; without it they are refused.",
    )
    ungrouped_viewers: Literal["auto", "all", "nothing"] = Field(
        default="auto",
        description="What viewers see who are in no group, also those whom a proxy names: "
        "`nothing`, `all`; `auto`, nothing once there is a group.",
    )
    allowed_origins: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Other sites whose pages may ask this server, such as "
        "`https://viewer.example`, separated by commas: queries, WebSockets, uploads, downloads by "
        "`fetch` and `<img crossorigin>`. They send a token; cookies stay on this site.",
    )
    max_depth: int = Field(
        default=25, ge=1, description="Levels of fields in an operation, introspection aside."
    )
    max_aliases: int = Field(default=100, ge=0, description="Aliases in a document.")
    max_tokens: int = Field(default=5000, ge=1, description="Words and signs in a document.")
    max_directives: int = Field(default=5, ge=0, description="Directives on a field.")
    max_selections: int = Field(default=200, ge=1, description="Fields asked of one object.")
    max_document_bytes: int = Field(default=131_072, ge=1, description="Size of a document.")
    max_conditions: int = Field(
        default=250,
        ge=1,
        description="Conditions in the filters, orders and searches of an operation; a list of "
        "values counts as one for each hundred.",
    )
    max_values: int = Field(
        default=20_000, ge=1, description="Values in the variables of an operation."
    )
    max_cost: int = Field(
        default=1_000_000,
        ge=1,
        description="Objects that the pages of an operation may hold together: the sizes of lists "
        "in lists are multiplied, and the elements of headers weighed.",
    )
    max_seconds: float = Field(
        default=30,
        gt=0,
        description="Time for an operation; its statements and its decoding are cancelled then.",
    )
    max_answer_bytes: int = Field(
        default=67_108_864, ge=1, description="Size of the answer to an operation."
    )
    max_answers_megabytes: int = Field(
        default=256,
        ge=1,
        le=1_000_000,
        description="Memory, about, for all answers of GraphQL while they are made and sent; who "
        "needs more than a quarter of a megabyte is refused beyond.",
    )
    max_batch: int = Field(
        default=1, ge=1, le=1000, description="Operations in one request; 1 turns batches off."
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1, description="Size of a request, and of a WebSocket's message."
    )
    max_requests: int = Field(
        default=500, ge=1, description="Requests answered at the same time; more get 503."
    )
    max_streams: int = Field(
        default=2000, ge=1, description="WebSockets and event streams open at the same time."
    )
    max_operations: int = Field(
        default=50,
        ge=1,
        description="Operations that one WebSocket runs at the same time; its queries and "
        "mutations count as requests, its subscriptions as streams.",
    )
    max_connections: int = Field(
        default=4096,
        ge=8,
        description="Connections open at the same time, as far as the system's limit of open files "
        "allows; then the longest silent of a client that is not logged in is closed for a new "
        "one.",
    )
    strangers_percent: int = Field(
        default=25,
        ge=1,
        le=100,
        description="Places for requests and streams of clients that are not logged in, beside "
        "those of users, in percent of these.",
    )
    max_head_bytes: int = Field(
        default=65_536,
        ge=8192,
        le=16_777_216,
        description="Size of a request's first line and headers; more get 431.",
    )
    max_incoming_megabytes: int = Field(
        default=128,
        ge=1,
        le=1_000_000,
        description="Memory for heads, bodies and messages that come in, of all clients together; "
        "uploads aside.",
    )
    request_seconds: float = Field(
        default=20,
        gt=0,
        description="Time for the head of a request to come in; as long for its body, and a second "
        "more for each kilobyte.",
    )
    stall_seconds: float = Field(
        default=60,
        gt=0,
        description="A client that takes less than a kilobyte a second for so long is cut off.",
    )
    shutdown_seconds: int = Field(
        default=10, ge=0, description="Time for running requests to end when the server is stopped."
    )
    introspection: bool = Field(
        default=True,
        description="Whether clients may ask for the schema; errors then suggest names.",
    )
    root_path: str | None = Field(
        default=None,
        pattern="^(/[A-Za-z0-9._~-]+)*$",
        description="The path below which a proxy has this server, such as `/dicom`.",
    )
    counts: bool = Field(
        default=True,
        description="Whether `nPatients`, `nStudies`, `nSeries`, `nImages` and `totalCount` are "
        "offered, also in filters, orders and aggregates.",
    )
    graphiql: bool = Field(default=True, description="Whether the page GraphiQL is served.")
    get_queries: bool = Field(
        default=True, description="Whether queries may come by GET; mutations never may."
    )
    trusted_documents: Path | None = Field(
        default_factory=lambda: None,
        description="A JSON file `{id: document}`: only these are executed, and clients may send "
        "the id instead (`documentId`, or the SHA-256 as a persisted query).",
    )
    subject_resolver: str = Field(
        default_factory=str,
        description="`package.module:function`, which takes patients and returns the research "
        "subject of each, or None: the field `subject` of patients.",
    )
    max_decodes: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=1000,
        description="Images and volumes decoded at a time, each in a process of its own; further "
        "requests wait.",
    )
    max_decoded_megabytes: int = Field(
        default=2048,
        ge=1,
        le=1_000_000,
        description="The largest array that a request may decode; a larger one is refused before "
        "it starts.",
    )
    decode_timeout: int = Field(
        default=120, ge=1, le=86_400, description="Seconds that decoding for a request may take."
    )
    audit: Literal["auto", "off", "on", "required"] = Field(
        default="auto",
        description="The audit log: `auto`, of all who have a name; `on`, also of a server that "
        "asks nobody; `required`, nothing is answered that could not be written down; `off`.",
    )
    audit_file: Path | None = Field(
        default_factory=lambda: None,
        description="A file to which the audit log is appended as well, a JSON object a line.",
    )
    metrics: Literal["off", "protected", "public"] = Field(
        default="protected",
        description="Who may read `/metrics`: `protected`, whoever has a name; `public`, "
        "everybody; `off`, nobody.",
    )
    log_level: str = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR; no patient data above DEBUG."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="`text`, or `json`: an object a line."
    )

    @field_validator("allowed_hosts", "trusted_proxies", "allowed_origins", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator("import_mode", "import_storage", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower().replace("_", "-") if isinstance(value, str) else value

    @field_validator("import_roots", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [path for path in value.split(os.pathsep) if path]

    @field_validator("import_roots")
    @classmethod
    def _existing_folders(cls, value: list[Path]) -> list[Path]:
        for path in value:
            if not path.is_dir():
                raise ValueError(f"{path} is not a folder")
        return value

    @field_validator("storage_root")
    @classmethod
    def _existing_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(f"{value} is not a folder")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        if value.partition("?")[0] in ("sqlite:///", "sqlite:///:memory:"):
            raise ValueError("needs a file: a database in memory is lost between connections")
        return value

    @field_validator("queue")
    @classmethod
    def _queue_on_postgresql(cls, value: str, info: ValidationInfo) -> str:
        url = str(info.data.get("database_url", ""))
        if value == "procrastinate" and url.startswith("sqlite"):
            raise ValueError(
                "procrastinate needs PostgreSQL, and DICOM_GRAPH_DATABASE_URL is SQLite; use local"
            )
        return value

    @field_validator("proxy_role")
    @classmethod
    def _known_role(cls, value: str) -> str:
        if value.lower() not in ("", "viewer", "importer", "editor", "admin"):
            raise ValueError("must be viewer, importer, editor, admin or empty")
        return value.lower()

    @field_validator("allowed_origins")
    @classmethod
    def _plain_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not re.fullmatch(r"https?://[^/*]+", origin):
                raise ValueError(f"{origin} is not an origin such as https://viewer.example")
        return value

    @model_validator(mode="after")
    def _storage_somewhere(self) -> "Settings":
        if self.import_storage != "in-place" and self.storage_root is None:
            raise ValueError(
                f"DICOM_GRAPH_IMPORT_STORAGE={self.import_storage} needs DICOM_GRAPH_STORAGE_ROOT"
            )
        return self

    @model_validator(mode="after")
    def _proxy_from_somewhere(self) -> "Settings":
        if self.proxy_user_header and not self.trusted_proxies:
            raise ValueError(
                "DICOM_GRAPH_PROXY_USER_HEADER needs DICOM_GRAPH_TRUSTED_PROXIES: anybody else "
                "could name any user"
            )
        return self

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()


def load_settings(**overrides: object) -> Settings:
    """The settings of this process; overrides that are None count as not given.

    Raises SettingsError with one line for the first setting that is wrong, or that does not exist.
    """
    unknown = check_names(Settings.model_fields)
    if unknown is not None:
        raise SettingsError(unknown)
    given = {name: value for name, value in overrides.items() if value is not None}
    named = given.get("database_url")
    if isinstance(named, str) and named and not re.match(r"[a-z0-9+]+:", named):
        given["database_url"] = f"sqlite:///{Path(named).expanduser().absolute()}"
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        name = f"DICOM_GRAPH_{first['loc'][0]!s}: ".upper() if first["loc"] else ""
        if first["loc"] == ("database_url",) and "database_url" in given:
            name, message = "--database: ", f"{message}, or is the path of a file"
        raise SettingsError(name + message) from None
