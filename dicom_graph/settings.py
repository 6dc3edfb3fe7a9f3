"""Configuration, from environment variables that start with DICOM_GRAPH_ and from `.env`."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class SettingsError(ValueError):
    """A setting is wrong; the message is one line that names it."""


class Settings(BaseSettings):
    """All settings. The README's table is held to these fields by a test."""

    model_config = SettingsConfigDict(
        env_prefix="DICOM_GRAPH_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    database_url: str = Field(
        default_factory=lambda: f"sqlite:///{Path.home() / '.dicom-graph' / 'database.sqlite3'}",
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
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"],
        description="Names under which the server may be addressed, separated by commas; `*` for "
        "any. The address of `serve --host` is always one.",
    )
    batch_size: int = Field(
        default=500, ge=1, le=10_000, description="Files written in one transaction."
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
    log_level: str = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR; no patient data above DEBUG."
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [host.strip() for host in value.split(",") if host.strip()]

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

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()


def load_settings(**overrides: object) -> Settings:
    """The settings of this process; overrides that are None count as not given.

    Raises SettingsError with one line for the first setting that is wrong.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "DICOM_GRAPH_" + str(first["loc"][0]).upper()
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
