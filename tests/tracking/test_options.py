"""Where runs are shown: addresses that can work, made absolute."""

from __future__ import annotations

from pathlib import Path

import pytest

from srexp.options import OptionError
from srexp.tracking.options import MlflowTracking


def mlflow(**changes: object) -> MlflowTracking:
    return MlflowTracking(**{"uri": None, "experiment": "e", "timeout_seconds": 10, **changes})


def test_the_default_store_lies_in_the_output_folder_wherever_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path.resolve()}/outputs/mlflow.db"
    assert mlflow().resolved_uri(Path("outputs")) == uri
    assert mlflow().resolved_uri(tmp_path / "outputs") == uri


@pytest.mark.parametrize(
    ("given", "path"),
    [("sqlite:///runs.db", "{cwd}/runs.db"), ("sqlite:////a/b.db", "/a/b.db"),
     ("sqlite:///~/b.db", "{home}/b.db"), ("sqlite:///x/../b.db", "{cwd}/b.db")],
)  # fmt: skip
def test_a_database_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, path: str
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wanted = path.format(cwd=tmp_path.resolve(), home=(tmp_path / "home").resolve())
    assert mlflow(uri=given).resolved_uri(Path("outputs")) == f"sqlite:///{wanted}"


def test_a_server_stays_as_it_is() -> None:
    assert mlflow(uri="https://h:5000/a").resolved_uri(Path("o")) == "https://h:5000/a"


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///tmp/mlruns", "/tmp/mlflow.db", ""])
def test_a_plain_folder_is_refused(uri: str) -> None:
    with pytest.raises(
        OptionError, match=r"^uri=.*MLflow no longer writes plain folders"
    ) as caught:
        mlflow(uri=uri)
    assert caught.value.key == "uri"


@pytest.mark.parametrize(
    "changes", [{"experiment": " "}, {"timeout_seconds": 0}, {"timeout_seconds": 601}]
)
def test_refuses(changes: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="must be") as caught:
        mlflow(**changes)
    assert caught.value.key == next(iter(changes))


@pytest.mark.parametrize(
    "uri",
    ["postgresql://me:secret@host/db", "https://me:secret@host", "mysql+pymysql://a:secret@h:1/d",
     "postgresql:///db?password=secret"],
)  # fmt: skip
def test_a_password_is_refused_and_not_repeated(uri: str) -> None:
    """The run folder, MLflow's params and the terminal would all show it."""
    with pytest.raises(OptionError, match=r"^uri: holds a password") as caught:
        mlflow(uri=uri)
    assert caught.value.key == "uri"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        ("postgresql://me@host:5432/db", "postgresql+psycopg2://me@host:5432/db"),
        ("postgresql:///db?host=/run/pg", "postgresql+psycopg2:///db?host=/run/pg"),
        ("postgresql+psycopg://h/db", "postgresql+psycopg://h/db"),
        ("http://h:5000/a@b:c", "http://h:5000/a@b:c"),
    ],
)
def test_an_address_without_password_is_taken(uri: str, resolved: str) -> None:
    """PostgreSQL's driver is said: what none means changed from SQLAlchemy 2.0 to 2.1."""
    assert mlflow(uri=uri).resolved_uri(Path("o")) == resolved
