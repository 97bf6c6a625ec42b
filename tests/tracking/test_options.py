"""Where runs are shown: addresses that can work, made absolute."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from srexp.options import OptionError
from srexp.tracking.mlflow_store import Store, quiet_client, sqlite_path
from srexp.tracking.options import MlflowTracking, check_place, place


def mlflow(**changes: object) -> MlflowTracking:
    return MlflowTracking(**{"uri": None, "experiment": "e", "timeout_seconds": 10, **changes})


def test_the_default_store_lies_in_the_output_folder_wherever_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path.resolve()}/outputs/mlflow.db"
    assert place(Path("outputs"), mlflow()).uri == uri
    assert place(tmp_path / "outputs", mlflow()).uri == uri


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
    assert place(Path("outputs"), mlflow(uri=given)).uri == f"sqlite:///{wanted}"


def test_a_server_stays_as_it_is() -> None:
    assert place(Path("o"), mlflow(uri="https://h:5000/a")).uri == "https://h:5000/a"


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
    assert place(Path("o"), mlflow(uri=uri)).uri == resolved


URI, NAME, ID = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"


def unset(**changes: object) -> MlflowTracking:
    """As the YAML has it."""
    return mlflow(**{"experiment": None, "timeout_seconds": None, **changes})


def test_what_is_typed_wins_over_the_environment_and_that_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Store(f"sqlite:///{tmp_path}/mlflow.db", "srexp", f"{tmp_path}/mlartifacts", 10)
    assert place(tmp_path, unset()) == place(tmp_path) == own
    for name in (URI, NAME, ID, "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, " ")  # an unset variable of a shell's
    assert place(tmp_path, unset()) == own
    monkeypatch.setenv(URI, "http://group:5000")
    monkeypatch.setenv(NAME, "theirs")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    found = place(tmp_path, unset())
    assert (found.uri, found.experiment, found.timeout_seconds) == (
        "http://group:5000",
        "theirs",
        77,
    )
    assert str(found) == "http://group:5000 (MLFLOW_TRACKING_URI), experiment theirs"
    typed = place(tmp_path, mlflow(uri="http://mine", experiment="e", timeout_seconds=3))
    assert (typed.uri, typed.experiment, typed.timeout_seconds) == ("http://mine", "e", 3)
    assert str(typed) == "http://mine (tracking.uri), experiment e"
    monkeypatch.setenv(NAME, "")
    monkeypatch.setenv(ID, "12")
    by_id = place(tmp_path, unset())
    assert (by_id.experiment, by_id.experiment_id) == ("", "12")


def test_where_a_run_is_shown_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed when it began is kept, what the environment said may change."""
    typed = asdict(place(tmp_path, unset(uri="http://typed")))
    own = asdict(place(tmp_path, unset()))
    monkeypatch.setenv(URI, "http://then")
    said = asdict(place(tmp_path, unset()))
    older = {key: typed[key] for key in ("uri", "experiment", "artifact_root", "timeout_seconds")}
    monkeypatch.delenv(URI)
    for before in (typed, own, said, older):
        assert place(tmp_path, None, before).uri == place(tmp_path, unset(), before).uri
        assert place(tmp_path, None, before).uri == before["uri"]
    monkeypatch.setenv(URI, "http://now")
    for before, wanted in ((typed, "typed"), (older, "typed"), (own, "now"), (said, "now")):
        assert place(tmp_path, None, before).uri == f"http://{wanted}"
    assert place(tmp_path, unset(uri="http://new"), typed).uri == "http://new"


def test_a_store_moves_with_its_folder_and_no_other_does(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    (before / "mlflow.db").touch()
    own, typed, other = (
        asdict(place(before, unset(uri=uri)))
        for uri in (None, f"sqlite:///{before}/mlflow.db", f"sqlite:///{tmp_path}/shared.db")
    )
    before.rename(after)
    for shown in (own, typed):
        found = place(after, None, shown)
        assert (found.uri, found.artifact_root) == (
            f"sqlite:///{after}/mlflow.db", f"{after}/mlartifacts",
        )  # fmt: skip
        assert place(after, unset(uri=shown["uri"]), shown) == replace(found, chosen="tracking.uri")
    assert place(after, None, other).uri == f"sqlite:///{tmp_path}/shared.db"
    # A single run that was moved out of the folder stays in the folder's store.
    assert place(tmp_path, None, asdict(place(after))).uri == f"sqlite:///{after}/mlflow.db"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (URI, "./mlruns", r"^uri=./mlruns \(MLFLOW_TRACKING_URI\): must be a server"),
        (URI, "http://a:b@c", r"^uri \(MLFLOW_TRACKING_URI\): holds a password"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon", r"^timeout_seconds=soon \(MLFLOW_HTTP"),
    ],
)
def test_what_the_environment_says_is_checked_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OptionError, match=message):
        unset()
    unset(uri="http://typed", timeout_seconds=5)


ODD = ["proj_feature%2Fx", "50%", "what?", "a#b", "sp ace", "x&y=1", "ünï", "[1]", "it's", "a;b"]


@pytest.mark.parametrize("name", ODD)
def test_any_folder_can_hold_a_database(tmp_path: Path, name: str) -> None:
    uri = place(tmp_path / name).uri
    assert make_url(uri).database == f"{tmp_path}/{name}/mlflow.db"
    assert sqlite_path(uri) == tmp_path / name / "mlflow.db"
    assert place(Path("o"), unset(uri=uri)).uri == uri


def test_a_folder_too_deep_for_sqlite_is_refused(tmp_path: Path) -> None:
    """SQLite opens paths of up to 504 bytes; the longest that is let pass works."""
    tracking = MlflowTracking(uri=None, experiment=None, timeout_seconds=None)
    longest = tmp_path
    while (left := 470 - len(str(longest)) - 1) > 0:
        longest = longest / ("x" * (left if left <= 200 else 100))
    assert len(str(longest)) == 470
    check_place(longest, tracking)
    quiet_client(place(longest, tracking))
    assert (longest / "mlflow.db").is_file()
    with pytest.raises(OptionError, match="too long for MLflow's SQLite"):
        check_place(longest.parent / f"{longest.name}x", tracking)
    elsewhere = MlflowTracking(
        uri=f"sqlite:///{tmp_path}/a.db", experiment=None, timeout_seconds=None
    )
    check_place(longest.parent / f"{longest.name}x", elsewhere)
