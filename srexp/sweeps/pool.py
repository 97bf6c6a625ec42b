"""Jobs in processes of their own, a few at a time.

The processes are forked from one that has imported what they need and done nothing with it
(`forkserver`), so that each is new and yet ready at once; on macOS, whose frameworks do not survive
a fork, they are started from nothing (`spawn`). A job that crashes or is killed fails alone. A job
whose launcher is gone saves and stops.

When a job says that it is `NEARLY` done, the next one of its slot is started, prepares what it
can, and waits for its turn.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import cloudpickle

from srexp import signals
from srexp.running.job import NEARLY
from srexp.sweeps.slots import Slot

# Seconds that a job has to end after it was told to stop at once, or has said how it ended.
_GRACE_SECONDS = 10.0
_TURN = "your turn"
# Characters of a folder for the forkserver's Unix socket: its path has 32 more, and may have 107.
_LONGEST_TMPDIR = 75


class Work(Protocol):
    """What a job does, given its line to the launcher.

    It may have a method `prepare()` for the time before its turn. That may read and compute, but
    leave nothing behind; what it raises is ignored.
    """

    def __call__(
        self, tell: Callable[[str, Any], None], asked_to_stop: Callable[[], str | None]
    ) -> Any: ...


@dataclass(frozen=True)
class Call:
    """One job.

    Attributes:
        number: Unique within the sweep.
        work: What it does; sent to its process with cloudpickle.
        log: File that takes what it prints.
    """

    number: int
    work: Work
    log: Path


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        state: `returned`, `raised`, `interrupted` (it stopped as asked) or `died`.
        value: What it returned.
        message: Why it did not return, in one line.
        error: Names of the exception's class and of its bases.
        traceback: Of the exception, as text.
    """

    state: str
    value: Any = None
    message: str = ""
    error: tuple[str, ...] = ()
    traceback: str = ""


class PoolWatcher(Protocol):
    """Who is told of the jobs, in the launcher's process."""

    def started(self, number: int) -> None: ...
    def told(self, number: int, kind: str, value: Any) -> str | None:
        """News of a job; a reason to stop it, or None."""
        ...

    def ended(self, number: int, end: Ended) -> bool:
        """A job has ended; whether the others should go on."""
        ...

    def tick(self) -> None:
        """A moment has passed."""
        ...


@dataclass
class _Running:
    call: Call
    slot: Slot
    process: Any
    connection: Connection
    nearly: bool = False
    last: Ended | None = None
    asked: set[str] = field(default_factory=set)

    def stop(self, why: str) -> None:
        if why in self.asked:
            return
        self.asked.add(why)
        self.tell(why)

    def tell(self, word: str) -> bool:
        """Whether it is still there to hear it."""
        try:
            self.connection.send(word)
        except OSError:
            return False
        return True


def run_jobs(
    calls: Sequence[Call],
    slots: Sequence[Slot],
    watcher: PoolWatcher,
    *,
    preload: Sequence[str],
    stop_asked: Callable[[], bool],
) -> None:
    """Run all jobs, as many at a time as there are slots.

    Args:
        calls: What to run, in this order.
        slots: Where.
        watcher: Is told of everything.
        preload: Modules that the jobs' parent process imports first.
        stop_asked: Whether to start nothing more and have running jobs save and stop.

    Raises:
        KeyboardInterrupt: As it came; the jobs were told to stop at once, and killed if they
            did not.
    """
    pool = _Pool(_context(preload), deque(calls), list(slots), watcher)
    try:
        pool.run(stop_asked)
    except BaseException:
        _end_at_once(pool.running, watcher)
        raise
    finally:
        pool.close()


class _Pool:
    """Attributes:
    waiting: Not started.
    free: Slots.
    running: Have had their turn, and have not ended.
    ahead: Prepare themselves, or are ready; at most one a slot.
    leaving: Processes that have said how they ended.
    """

    def __init__(
        self, context: Any, waiting: deque[Call], free: list[Slot], watcher: PoolWatcher
    ) -> None:
        self._context = context
        self._watcher = watcher
        self._go_on = True
        self.waiting = waiting
        self.free = free
        self.running: list[_Running] = []
        self.ahead: list[_Running] = []
        self.leaving: list[Any] = []

    def run(self, stop_asked: Callable[[], bool]) -> None:
        """Until all jobs have ended, or no more are to be started and the running ones have."""
        while True:
            self._go_on &= not stop_asked()
            if self._go_on:
                self._fill()
            else:
                for job in self.running:
                    job.stop("stopped")
            if not self.running:
                return
            ready = wait([job.connection for job in self.running], timeout=0.2)
            for job in [job for job in self.running if job.connection in ready]:
                self._hear(job)
            self._watcher.tick()

    def close(self) -> None:
        """Leave no process behind."""
        for job in self.ahead:
            job.process.kill()
            job.process.join()
        for process in self.leaving:
            process.join(_GRACE_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()

    def _fill(self) -> None:
        for slot in list(self.free):
            job = self._take(slot)
            if job is not None:
                self.free.remove(slot)
                self.running.append(job)
                self._watcher.started(job.call.number)

    def _take(self, slot: Slot) -> _Running | None:
        for job in [job for job in self.ahead if job.slot is slot]:
            self.ahead.remove(job)
            if job.tell(_TURN):
                return job
            self.waiting.appendleft(job.call)  # it was killed
        return _start(self._context, self.waiting.popleft(), slot) if self.waiting else None

    def _hear(self, job: _Running) -> None:
        if _hear(job, self._watcher):
            prepares = any(other.slot is job.slot for other in self.ahead)
            if job.nearly and self._go_on and self.waiting and not prepares:
                job.nearly = False
                self.ahead.append(
                    _start(self._context, self.waiting.popleft(), job.slot, ahead=True)
                )
            # The memory of a GPU is free only when the process is gone.
            if job.last is None or job.slot.gpu is not None:
                return
            self.leaving = [p for p in (*self.leaving, job.process) if p.is_alive()]
        else:
            job.process.join()
        self.running.remove(job)
        self.free.append(job.slot)
        self._go_on &= self._watcher.ended(job.call.number, job.last or _died(job))


def warm_up(preload: Sequence[str]) -> None:
    """Begin to import what jobs need, while the launcher does something else."""
    _context(preload)


def _context(preload: Sequence[str]) -> Any:
    """How processes are started; a forkserver runs by then."""
    if sys.platform == "darwin":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    usual = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_TMPDIR:  # as schedulers set it
        if not os.access("/tmp", os.W_OK | os.X_OK):
            return multiprocessing.get_context("spawn")
        tempfile.tempdir = "/tmp"
    try:
        with signals.kept_from_children():
            forkserver.ensure_running()
    finally:
        tempfile.tempdir = usual
    return context


def _start(context: Any, call: Call, slot: Slot, *, ahead: bool = False) -> _Running:
    ours, theirs = context.Pipe()
    environment = dict(os.environ)
    if slot.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot.gpu
    work = cloudpickle.dumps(call.work)
    # Not a daemon: a data pipeline may want processes of its own.
    process = context.Process(
        target=_job_process, args=(theirs, work, environment, slot.cores, str(call.log), ahead)
    )
    with signals.kept_from_children():
        process.start()
    theirs.close()
    return _Running(call, slot, process, ours)


def _hear(job: _Running, watcher: PoolWatcher) -> bool:
    """Take one piece of news; False when there is none any more, because the process is gone."""
    try:
        kind, value = job.connection.recv()
    except Exception:  # the end of the line, or a last word cut short
        return False
    if kind == "ended":
        job.last = Ended(**value)
        return True
    if kind == NEARLY:
        job.nearly = True
        return True
    why = watcher.told(job.call.number, kind, value)
    if why is not None:
        job.stop(why)
    return True


def _died(job: _Running) -> Ended:
    code = job.process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory, perhaps)" if -code == signal.SIGKILL else ""
        return Ended("died", message=f"killed by {name}{hint}")
    return Ended("died", message=f"its process ended with exit code {code}, without a word")


def _end_at_once(running: list[_Running], watcher: PoolWatcher) -> None:
    for _ in range(2):  # the first may only ask it to save
        for job in running:
            if job.process.is_alive():
                os.kill(job.process.pid, signal.SIGINT)
        wait([job.process.sentinel for job in running], timeout=1.0)
    deadline = time.monotonic() + _GRACE_SECONDS
    for job in running:
        job.process.join(max(0.0, deadline - time.monotonic()))
        if job.process.is_alive():
            job.process.kill()
            job.process.join()
        while job.connection.poll() and _hear(job, watcher):
            pass
        watcher.ended(job.call.number, job.last or _died(job))


def _job_process(
    connection: Connection,
    work: bytes,
    environment: dict[str, str],
    cores: tuple[int, ...],
    log: str,
    ahead: bool,
) -> None:
    """The whole life of a job's process; one that was started ahead waits for its turn."""
    os.setsid()  # a terminal's Ctrl-C goes to the launcher, which tells the jobs
    os.environ.clear()
    os.environ.update(environment)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    signals.receive()
    line = _Line(connection)
    try:
        end = _outcome(line, work, ahead)
        _be_deaf()
    except BaseException as error:  # told to stop, or told again while it said so
        _be_deaf()
        end = Ended("interrupted", None, str(error), _names(error))
    sys.stdout.flush()
    sys.stderr.flush()
    if end is not None:
        line.tell("ended", vars(end))


def _outcome(line: _Line, work: bytes, ahead: bool) -> Ended | None:
    """What came of the work; None where its turn never came."""
    try:
        job = cloudpickle.loads(work)
        if ahead and not line.wait_for_turn(getattr(job, "prepare", None)):
            return None
        return Ended("returned", job(line.tell, line.asked_to_stop))
    except (Exception, SystemExit) as error:
        text = traceback.format_exc()
        sys.stderr.write(text)
        return Ended("raised", None, str(error), _names(error), text)


def _be_deaf() -> None:
    """To signals, from now on: how it ended must be told."""
    for number in signals.ENDING:
        signal.signal(number, signal.SIG_IGN)


def _names(error: BaseException) -> tuple[str, ...]:
    return tuple(cls.__name__ for cls in type(error).__mro__)


class _Line:
    """A job's end of the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._why: str | None = None

    def tell(self, kind: str, value: Any) -> None:
        with self._sending:
            try:
                self._connection.send((kind, value))
            except OSError:
                pass  # the launcher is gone: `asked_to_stop` says so

    def wait_for_turn(self, prepare: Callable[[], None] | None) -> bool:
        """False when it will not come: the launcher is gone."""
        try:
            if prepare is not None:
                prepare()
        except Exception:
            pass  # the job itself will meet it
        try:
            return bool(self._connection.recv() == _TURN)
        except (OSError, EOFError):
            return False

    def asked_to_stop(self) -> str | None:
        if self._why is None:
            try:
                if self._connection.poll():
                    self._why = self._connection.recv()
            except (OSError, EOFError):
                self._why = "stopped"
        return self._why
