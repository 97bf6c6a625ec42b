"""Jobs in processes of their own: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment

from srexp.cores import available_cores
from srexp.running.job import NEARLY
from srexp.sweeps.pool import Call, Ended, run_jobs
from srexp.sweeps.slots import Slot

PRELOAD = ("srexp.launching.preload",)

Tell = Callable[[str, Any], None]
Asked = Callable[[], str | None]


class Watcher:
    """Keeps all that it is told."""

    def __init__(self, reply: Callable[[int, str, Any], str | None] | None = None) -> None:
        self.order: list[tuple[str, int]] = []
        self.news: list[tuple[int, str, Any]] = []
        self.ends: dict[int, Ended] = {}
        self.reply = reply
        self.stop_after: int | None = None

    def started(self, number: int) -> None:
        self.order.append(("started", number))

    def told(self, number: int, kind: str, value: Any) -> str | None:
        self.news.append((number, kind, value))
        return self.reply(number, kind, value) if self.reply else None

    def ended(self, number: int, end: Ended) -> bool:
        self.order.append(("ended", number))
        assert number not in self.ends
        self.ends[number] = end
        return number != self.stop_after

    def tick(self) -> None:
        pass


def run(
    folder: Path,
    works: list[Callable[[Tell, Asked], Any]],
    *,
    slots: list[Slot] | None = None,
    watcher: Watcher | None = None,
    stop_asked: Callable[[], bool] = lambda: False,
) -> Watcher:
    watcher = watcher or Watcher()
    calls = [Call(i + 1, work, folder / f"{i + 1}.log") for i, work in enumerate(works)]
    run_jobs(calls, slots or [Slot()], watcher, preload=PRELOAD, stop_asked=stop_asked)
    return watcher


def wait_to_be_asked(tell: Tell, asked: Asked) -> str:
    tell("step", (0, 1))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if why := asked():
            return why
        time.sleep(0.01)
    return "nobody asked"


def test_each_job_has_a_process_of_its_own_with_everything_imported(tmp_path: Path) -> None:
    def look(tell: Tell, asked: Asked) -> Any:
        import sys

        ready = all(name in sys.modules for name in ("tensorflow", "mlflow", "keras"))
        import tensorflow as tf

        # Only possible before TensorFlow's first operation.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        return ready, os.getpid(), float(tf.reduce_sum(tf.ones(3))), os.getcwd()

    ended = run(tmp_path, [look, look]).ends
    (ready, pid, total, where), (ready_2, pid_2, _, _) = ended[1].value, ended[2].value
    assert ready
    assert ready_2
    assert len({pid, pid_2, os.getpid()}) == 3
    assert total == 3
    assert where == os.getcwd()


def test_environment_cores_and_gpu_travel_with_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(tell: Tell, asked: Asked) -> Any:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("SREXP_LATE")
        return seen, sorted(os.sched_getaffinity(0))

    cores = tuple(available_cores()[:1])
    run(tmp_path, [lambda tell, asked: None])  # the server has the environment of now
    monkeypatch.setenv("SREXP_LATE", "set after the server began")
    slot = Slot(cores=cores, gpu="7")
    (seen, affinity) = run(tmp_path, [look], slots=[slot]).ends[1].value
    assert seen == ("7", "set after the server began")
    assert affinity == list(cores)
    monkeypatch.delenv("SREXP_LATE")
    (seen, affinity) = run(tmp_path, [look]).ends[1].value
    assert seen == (None, None)
    assert affinity == available_cores()


def test_what_goes_wrong_in_one_job_leaves_the_others_alone(tmp_path: Path) -> None:
    def fine(tell: Tell, asked: Asked) -> float:
        print("hello from a job")
        return 1.5

    def killed(tell: Tell, asked: Asked) -> None:
        tell("run", "r1")
        os.kill(os.getpid(), signal.SIGKILL)

    def vanishes(tell: Tell, asked: Asked) -> None:
        os._exit(3)

    def raises(tell: Tell, asked: Asked) -> None:
        {}["missing"]

    def exits(tell: Tell, asked: Asked) -> None:
        sys.exit(5)

    watcher = run(tmp_path, [killed, fine, vanishes, raises, exits, fine], slots=[Slot()] * 2)
    ends = watcher.ends
    assert ends[2] == ends[6] == Ended("returned", 1.5)
    assert ends[1].state == "died"
    assert "SIGKILL" in ends[1].message
    assert (1, "run", "r1") in watcher.news
    assert ends[3].state == "died"
    assert "exit code 3" in ends[3].message
    assert ends[4].state == "raised"
    assert ends[4].error[:2] == ("KeyError", "LookupError")
    assert '{}["missing"]' in ends[4].traceback
    assert ends[5].state == "raised"
    assert (tmp_path / "2.log").read_text() == "hello from a job\n"
    assert "KeyError" in (tmp_path / "4.log").read_text()


def test_a_watcher_stops_one_job(tmp_path: Path) -> None:
    def reply(number: int, kind: str, value: Any) -> str | None:
        return "pruned" if number == 2 else None

    def short(tell: Tell, asked: Asked) -> str | None:
        tell("step", (1, 1))
        time.sleep(0.5)
        return asked()

    watcher = run(tmp_path, [short, wait_to_be_asked], slots=[Slot()] * 2, watcher=Watcher(reply))
    assert watcher.ends[1].value is None
    assert watcher.ends[2].value == "pruned"


def test_no_more_at_a_time_than_slots_and_in_order(tmp_path: Path) -> None:
    def short(tell: Tell, asked: Asked) -> None:
        time.sleep(0.1)

    watcher = run(tmp_path, [short] * 5, slots=[Slot()] * 2)
    running = most = 0
    for what, _ in watcher.order:
        running += 1 if what == "started" else -1
        most = max(most, running)
    assert most == 2
    assert [number for what, number in watcher.order if what == "started"] == [1, 2, 3, 4, 5]


def test_asked_to_stop_nothing_new_begins_and_what_runs_is_told(tmp_path: Path) -> None:
    watcher = Watcher()
    asked = False

    def reply(number: int, kind: str, value: Any) -> str | None:
        nonlocal asked
        asked = True
        return None

    watcher.reply = reply
    run(tmp_path, [wait_to_be_asked] * 3, watcher=watcher, stop_asked=lambda: asked)
    assert {number: end.value for number, end in watcher.ends.items()} == {1: "stopped"}


def test_the_first_failure_can_end_all(tmp_path: Path) -> None:
    def raises(tell: Tell, asked: Asked) -> None:
        time.sleep(0.3)
        raise ValueError("no")

    watcher = Watcher()
    watcher.stop_after = 2
    run(tmp_path, [wait_to_be_asked, raises, raises], slots=[Slot()] * 2, watcher=watcher)
    assert watcher.ends[1].value == "stopped"
    assert watcher.ends[2].message == "no"
    assert 3 not in watcher.ends


class TwoParts:
    """Work that notes when it prepared and when it had its turn."""

    def __init__(self, folder: Path, name: str, *, prepared: Callable[[], None] = int) -> None:
        self.folder, self.name, self.prepared = folder, name, prepared
        self.ready = False

    def prepare(self) -> None:
        (self.folder / f"{self.name}.prepared").write_text(str(os.getpid()))
        self.prepared()
        self.ready = True

    def __call__(self, tell: Tell, asked: Asked) -> Any:
        (self.folder / f"{self.name}.began").touch()
        return self.ready, os.getpid()


def first_of_two(folder: Path, wait_for: str, then: Callable[[], Any] = int) -> Any:
    """Work that is nearly done, and ends when the next one has prepared itself."""

    def work(tell: Tell, asked: Asked) -> Any:
        tell(NEARLY, None)
        _wait_for(folder / wait_for)
        began = (folder / "next.began").exists()
        then()
        return began

    return work


def test_the_next_job_prepares_itself_and_waits_for_its_turn(tmp_path: Path) -> None:
    watcher = run(tmp_path, [first_of_two(tmp_path, "next.prepared"), TwoParts(tmp_path, "next")])
    assert watcher.order == [("started", 1), ("ended", 1), ("started", 2), ("ended", 2)]
    assert watcher.ends[1].value is False
    ready, pid = watcher.ends[2].value
    assert ready
    assert pid == int((tmp_path / "next.prepared").read_text())


def test_what_goes_wrong_while_preparing_is_for_the_job_to_meet(tmp_path: Path) -> None:
    def broken() -> None:
        raise OSError("not now")

    second = TwoParts(tmp_path, "next", prepared=broken)
    ends = run(tmp_path, [first_of_two(tmp_path, "next.prepared"), second]).ends
    assert ends[2].value[0] is False


def test_a_job_that_is_killed_while_preparing_is_started_again(tmp_path: Path) -> None:
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    second = TwoParts(tmp_path, "next", prepared=killed)
    watcher = run(
        tmp_path, [first_of_two(tmp_path, "next.prepared", lambda: time.sleep(0.2)), second]
    )
    assert watcher.order == [("started", 1), ("ended", 1), ("started", 2), ("ended", 2)]
    ready, pid = watcher.ends[2].value
    assert not ready
    assert pid != int((tmp_path / "next.prepared").read_text())


def test_a_job_that_has_prepared_itself_never_begins_once_all_is_to_end(tmp_path: Path) -> None:
    watcher = Watcher()
    watcher.stop_after = 1
    works = [first_of_two(tmp_path, "next.prepared"), TwoParts(tmp_path, "next")]
    run(tmp_path, works, watcher=watcher)
    assert watcher.order == [("started", 1), ("ended", 1)]
    assert not (tmp_path / "next.began").exists()
    pid = int((tmp_path / "next.prepared").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_job_whose_launcher_is_killed_saves_and_stops(tmp_path: Path) -> None:
    script = tmp_path / "launcher.py"
    script.write_text(
        """
import sys, time
from pathlib import Path
from srexp.sweeps.pool import Call, run_jobs
from srexp.sweeps.slots import Slot

folder = Path(sys.argv[1])

class Watcher:
    def started(self, number): pass
    def told(self, number, kind, value): (folder / "begun").touch()
    def ended(self, number, end): return True
    def tick(self): pass

def work(tell, asked):
    tell("step", (0, 1))
    while (why := asked()) is None:
        time.sleep(0.01)
    (folder / "why").write_text(why)

if __name__ == "__main__":
    run_jobs([Call(1, work, folder / "log")], [Slot()], Watcher(), preload=(),
             stop_asked=lambda: False)
"""
    )
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], env=command_environment(tmp_path)
    ) as process:
        _wait_for(tmp_path / "begun")
        process.kill()
    _wait_for(tmp_path / "why")
    time.sleep(0.1)
    assert (tmp_path / "why").read_text() == "stopped"


LAUNCHER = """
import sys, multiprocessing
from pathlib import Path
from srexp.sweeps.pool import Call, run_jobs
from srexp.sweeps.slots import Slot

class Watcher:
    def started(self, number): pass
    def told(self, number, kind, value): print(value)
    def ended(self, number, end): return True
    def tick(self): pass

class Work:
    def __call__(self, tell, asked):
        tell("how", type(multiprocessing.process.current_process()).__name__)

if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.platform = sys.argv[2]
    run_jobs([Call(1, Work(), Path(sys.argv[1]))], [Slot()], Watcher(), preload=(),
             stop_asked=lambda: False)
"""


def launched(folder: Path, *arguments: str, **environment: str) -> str:
    script = folder / "launcher.py"
    script.write_text(LAUNCHER)
    done = subprocess.run(
        [sys.executable, str(script), str(folder / "log"), *arguments],
        env=command_environment(folder, **environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_long_tmpdir_as_schedulers_set_it(tmp_path: Path) -> None:
    """A Unix socket's path has at most 107 characters."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    assert launched(tmp_path, TMPDIR=str(folder)) == "ForkServerProcess"


def test_no_job_is_forked_on_macos(tmp_path: Path) -> None:
    assert launched(tmp_path, "darwin") == "SpawnProcess"


def test_told_twice_to_stop_jobs_end_at_once(tmp_path: Path) -> None:
    def deaf(tell: Tell, asked: Asked) -> None:
        tell("step", (0, 1))
        time.sleep(60)

    class Impatient(Watcher):
        def tick(self) -> None:
            if self.news:
                self.since = time.monotonic()
                raise KeyboardInterrupt

    watcher = Impatient()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [deaf, deaf], watcher=watcher)
    assert time.monotonic() - watcher.since < 30
    assert watcher.ends[1].state == "interrupted"
    assert watcher.ends[1].error[0] == "KeyboardInterrupt"
    assert 2 not in watcher.ends


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)
