"""What runs have in common, and in what words they are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests_scored import make_report, write_report

from srexp.comparison.results import read_run
from srexp.comparison.tasks import common_tasks, with_todays_names
from srexp.tracking.record import RunError, RunFolder


def common(*runs: RunFolder, **wanted: Any) -> tuple[list[str], list[str]]:
    tasks, left_out = common_tasks([read_run(run) for run in runs], **wanted)
    return [task.name for task in tasks], left_out


def test_what_all_were_scored_on_and_not_what_chose_the_weights(make: Any) -> None:
    reports = [make_report([0.1, 0.2], images=name) for name in ("val", "set5", "set14")]
    one, other = make(reports), make(reports[:2])
    tasks, (line,) = common(one, other)
    assert tasks == ["set5_x2/y_paper"]
    assert f"set14_x2/y_paper: not scored by {other.id}" in line
    assert f"evaluate {other.typed('run')} benchmark=set14 protocol=y_paper" in line
    assert common(one, other, benchmarks=["val"])[0] == ["val_x2/y_paper"]
    alone = make(reports[:1])
    assert common(alone, other)[0] == ["val_x2/y_paper"]


def test_filters(make: Any) -> None:
    reports = [
        make_report([0.1, 0.2], images=name, protocol=protocol)
        for name in ("set5", "set14")
        for protocol in ("rgb", "y_paper")
    ]
    run = make(reports)
    assert len(common(run)[0]) == 4
    assert common(run, benchmarks=["set14"])[0] == ["set14_x2/rgb", "set14_x2/y_paper"]
    assert common(run, protocols=["rgb"])[0] == ["set14_x2/rgb", "set5_x2/rgb"]
    with pytest.raises(RunError, match=r"--benchmark sett5: .* did you mean set5\? \(there are"):
        common(run, benchmarks=["sett5"])
    with pytest.raises(RunError, match=r"--protocol ypaper: .* did you mean y_paper\?"):
        common(run, protocols=["ypaper"])


def test_scores_of_another_digest_that_not_all_have_are_told(make: Any) -> None:
    plain, other = make_report([0.1, 0.2]), make_report([0.1, 0.2], border=0)
    both, one = make([plain]), make([plain])
    write_report(both, other, "deconv_2031-01-01_00-00-00_abcd.csv")
    tasks, remarks = common(both, one)
    assert tasks == ["set5_x2/y_paper"]
    assert remarks == [f"set5_x2/y_paper [{other.task.digest}]: not of all these runs"]


def test_the_protocols_settings_are_the_reason_that_is_named(make: Any) -> None:
    """As noted beside the tables: the runs' own configurations know nothing of them."""
    runs = []
    for border in (0, 4):
        report = make_report([0.1, 0.2], border=border)
        run = make([make_report([0.1], images="val")])
        path = write_report(run, report, "deconv_2031-01-01_00-00-00_abcd.csv")
        noted = {"digest": report.task.digest, "protocol_options": {"border": border}}
        path.with_suffix(".json").write_text(json.dumps(noted))
        runs.append(run)
    with pytest.raises(RunError, match=r"protocol\.y_paper\.border differs, 0 and 4"):
        common(*runs, benchmarks=["set5"])


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (
            {},
            {"engine": "pillow"},
            "runs of different degradations cannot be compared (x2 matlab b",
        ),
        ({}, {"content": "other"}, "the images of set5 or the protocol's settings differ"),
        (
            {"gains": [1, 2, 3], "content": "more"},
            {},
            "the image sets differ, 3 images with image2 and 2 images",
        ),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(
    make: Any, ours: Any, theirs: Any, reason: str
) -> None:
    one, other = (make([make_report(**{"gains": [1, 2], **how})]) for how in (ours, theirs))
    with pytest.raises(RunError) as caught:
        common(one, other)
    message = str(caught.value)
    assert reason in message and one.id in message and other.id in message
    assert "\n" not in message


def test_runs_of_several_scales_stand_side_by_side(make: Any) -> None:
    """What the runs of one scale have in common does not depend on those of another."""
    both = [make_report([1, 2]), make_report([1, 2], images="set14")]
    runs = [make(both), make(both[:1]), make([make_report([1, 2], scale=3)])]
    tasks, reasons = common_tasks([read_run(run) for run in runs])
    assert [task.name for task in tasks] == ["set5_x2/y_paper", "set5_x3/y_paper"]
    assert len(reasons) == 1 and f"set14_x2/y_paper: not scored by {runs[1].id}" in reasons[0]


def test_another_protocol_of_the_same_name_is_said(make: Any) -> None:
    """`protocol.y_paper.border=4`: the same name, other numbers."""
    one = make([make_report([1, 2])], "protocol=y_paper")
    other = make([make_report([1, 2], border=4)], "protocol=y_paper", "protocol.y_paper.border=4")
    with pytest.raises(RunError, match=r"protocol\.y_paper\.border differs, None and 4"):
        common(one, other)


def test_what_belongs_together_is_compared_and_the_rest_said(make: Any) -> None:
    one = make([make_report([1, 2]), make_report([1, 2], images="set14")])
    other = make([make_report([1, 2]), make_report([1, 2], images="set14", engine="pillow")])
    tasks, (line,) = common(one, other)
    assert tasks == ["set5_x2/y_paper"] and "set14_x2/y_paper: the degradations differ" in line
    # Scored again as the other one was, it can be compared.
    write_report(
        one, make_report([1, 2], images="set14", engine="pillow"), "d_2031-01-01_00-00-00.csv"
    )
    tasks, (line,) = common(one, other)
    assert tasks == ["set14_x2/y_paper", "set5_x2/y_paper"]
    assert line.startswith("set14_x2/y_paper [") and line.endswith("]: not of all these runs")


def test_no_scores(make: Any) -> None:
    run = make([0.1, 0.2])
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    path.write_text("")
    with pytest.raises(RunError, match=r"has no scores, it is FINISHED; .*final\.csv: is cut"):
        common(run)
    path.unlink()
    with pytest.raises(RunError, match=f"evaluate {run.typed('run')}"):
        common(run)


def test_what_an_older_srexp_called_folder_is_known_by_its_digest(make: Any) -> None:
    old = make([make_report([0.1, 0.2], images="folder", content="a")])
    other = make([make_report([0.1, 0.2], images="folder", content="b")])
    new = make([make_report([0.3, 0.2], images="folder-street", content="a")])
    results = with_todays_names([read_run(run) for run in (old, new)])
    (task,), _ = common_tasks(results)
    assert task.name == "folder-street_x2/y_paper"
    assert [r.evaluations[task].rows[0].psnr for r in results] == pytest.approx([30.1, 30.3])
    with pytest.raises(RunError, match=f"folder-street_x2/y_paper: not scored by {other.id}"):
        common_tasks(with_todays_names([read_run(run) for run in (other, new)]))
