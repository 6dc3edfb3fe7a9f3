"""What is configured how, and that a wrong setting says which one it is."""

import os
import re
from pathlib import Path

import pytest

from dicom_graph.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No setting in the environment, no `.env`, and a home directory of its own."""
    for name in os.environ:
        if name.startswith("DICOM_GRAPH_"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_defaults(plain_environment: Path) -> None:
    settings = load_settings()
    home = plain_environment / "home"
    assert settings.database_url == f"sqlite:///{home}/.dicom-graph/database.sqlite3"
    assert settings.import_roots == [home, plain_environment / "here"]
    assert (settings.batch_size, settings.max_page_size) == (1000, 10_000)
    assert settings.log_level == "INFO"


WRONG = [
    ("DATABASE_URL", "mysql://user@host/name", "sqlite:/// or postgresql://"),
    ("DATABASE_URL", "sqlite://", "sqlite:/// or postgresql://"),
    ("DATABASE_URL", "sqlite:///:memory:", "needs a file"),
    ("DATABASE_URL", "sqlite:///", "needs a file"),
    ("IMPORT_ROOTS", "/nowhere/at/all", "/nowhere/at/all is not a folder"),
    ("IMPORT_ROOTS", f"/{os.pathsep}/nowhere", "/nowhere is not a folder"),
    ("IMPORT_ROOTS", "/etc/passwd", "is not a folder"),
    ("STORAGE_ROOT", "/nowhere/at/all", "/nowhere/at/all is not a folder"),
    ("MAX_UPLOAD_MEGABYTES", "0", "greater than or equal to 1"),
    ("BATCH_SIZE", "0", "greater than or equal to 1"),
    ("BATCH_SIZE", "10001", "less than or equal to 10000"),
    ("BATCH_SIZE", "many", "integer"),
    ("MAX_PAGE_SIZE", "0", "greater than or equal to 1"),
    ("ELEMENT_CACHE_MEGABYTES", "0", "greater than or equal to 1"),
    ("DATABASE_POOL_SIZE", "0", "greater than or equal to 1"),
    ("MAX_INLINE_BYTES", "-1", "greater than or equal to 0"),
    ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
]


@pytest.mark.parametrize(("name", "value", "reason"), WRONG)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"DICOM_GRAPH_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"DICOM_GRAPH_{name}: ")
    assert reason in message
    assert "\n" not in message


def test_a_wrong_database_url_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_GRAPH_DATABASE_URL", "mysql://user:hunter2@host/name")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_import_roots_are_split_as_paths_are(
    monkeypatch: pytest.MonkeyPatch, plain_environment: Path
) -> None:
    folders = [plain_environment / name for name in ("a", "b c", "d,e")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("DICOM_GRAPH_IMPORT_ROOTS", os.pathsep.join(map(str, folders)))
    assert load_settings().import_roots == folders


def test_an_empty_import_root_is_not_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    sep = os.pathsep
    monkeypatch.setenv("DICOM_GRAPH_IMPORT_ROOTS", f"{sep}/etc{sep}{sep}/usr{sep}")
    assert load_settings().import_roots == [Path("/etc"), Path("/usr")]


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_GRAPH_BATCH_SIZE", "")
    assert load_settings().batch_size == 1000


def test_an_option_goes_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch, plain_environment: Path
) -> None:
    lines = [
        "DICOM_GRAPH_BATCH_SIZE=1",
        "DICOM_GRAPH_MAX_PAGE_SIZE=2",
        "DICOM_GRAPH_LOG_LEVEL=debug",
    ]
    (plain_environment / "here" / ".env").write_text("\n".join(lines))
    monkeypatch.setenv("DICOM_GRAPH_MAX_PAGE_SIZE", "3")
    monkeypatch.setenv("DICOM_GRAPH_LOG_LEVEL", "error")
    settings = load_settings(log_level="warning", database_url=None)
    assert (settings.batch_size, settings.max_page_size) == (1, 3)
    assert settings.log_level == "WARNING"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("DICOM_GRAPH_IMPORT_ROOT", "did you mean DICOM_GRAPH_IMPORT_ROOTS?"),
        ("DICOM_GRAPH_STORAGEROOT", "did you mean DICOM_GRAPH_STORAGE_ROOT?"),
        ("dicom_graph_databaseurl", "did you mean DICOM_GRAPH_DATABASE_URL?"),
        ("DICOM_GRAPH_SERVER_PORT", "no such setting"),
        ("DICOM_GRAPH_QQQ", "docs/operations.md"),
    ],
)
def test_an_unknown_variable_ends_the_start_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, plain_environment: Path, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=re.escape(nearest)) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{name}: ")
    monkeypatch.delenv(name)
    (plain_environment / "here" / ".env").write_text(f"OTHER=1\nexport {name}=1\n")
    with pytest.raises(SettingsError, match=re.escape(nearest)) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{name} (.env): ")


def test_variables_of_kubernetes_and_of_the_tests_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """kubernetes.io/docs/concepts/services-networking/service, "Environment variables": these for
    services that are called `dicom-graph` and `dicom-graph-db`."""
    for service, port in (("DICOM_GRAPH", 8000), ("DICOM_GRAPH_DB", 5432)):
        address = f"tcp://10.0.0.11:{port}"
        monkeypatch.setenv(f"{service}_SERVICE_HOST", "10.0.0.11")
        monkeypatch.setenv(f"{service}_SERVICE_PORT", str(port))
        monkeypatch.setenv(f"{service}_SERVICE_PORT_HTTP", str(port))
        monkeypatch.setenv(f"{service}_PORT", address)
        monkeypatch.setenv(f"{service}_PORT_{port}_TCP", address)
        for name in ("PROTO", "PORT", "ADDR"):
            monkeypatch.setenv(f"{service}_PORT_{port}_TCP_{name}", "tcp")
    monkeypatch.setenv("DICOM_GRAPH_TEST_ANYTHING", "1")
    monkeypatch.setenv("DICOM_GRAPHICS", "1")
    assert load_settings().batch_size == 1000
    monkeypatch.delenv("DICOM_GRAPH_DB_SERVICE_HOST")
    with pytest.raises(SettingsError, match="DICOM_GRAPH_DB_PORT"):
        load_settings()
