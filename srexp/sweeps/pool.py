"""Jobs in processes of their own, a few at a time.

The processes are forked from one that has imported what they need and done nothing with it
(`forkserver`), so that each is new and yet ready at once; where there is no forking they are
started from nothing (`spawn`). A job that crashes or is killed fails alone. A job whose launcher
is gone saves and stops.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import cloudpickle

from srexp.sweeps.slots import Slot

# Seconds that a job has to end after it was told to stop at once.
_GRACE_SECONDS = 10.0


class Work(Protocol):
    """What a job does, given its line to the launcher."""

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


class Watcher(Protocol):
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
    last: Ended | None = None
    asked: set[str] = field(default_factory=set)

    def stop(self, why: str) -> None:
        if why in self.asked:
            return
        self.asked.add(why)
        try:
            self.connection.send(why)
        except OSError:
            pass  # it has just ended


def run_jobs(
    calls: Sequence[Call],
    slots: Sequence[Slot],
    watcher: Watcher,
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
    context = _context(preload)
    waiting, free, running = deque(calls), list(slots), list[_Running]()
    go_on = True
    try:
        while (waiting and go_on) or running:
            while waiting and free and go_on and not stop_asked():
                running.append(_start(context, waiting.popleft(), free.pop(0)))
                watcher.started(running[-1].call.number)
            if stop_asked():
                go_on = False
            if not go_on:
                for job in running:
                    job.stop("stopped")
            if not running:
                break
            ready = wait([job.connection for job in running], timeout=0.2)
            for job in [job for job in running if job.connection in ready]:
                if _hear(job, watcher):
                    continue
                job.process.join()
                running.remove(job)
                free.append(job.slot)
                go_on &= watcher.ended(job.call.number, job.last or _died(job))
            watcher.tick()
    except BaseException:
        _end_at_once(running, watcher)
        raise


def warm_up(preload: Sequence[str]) -> None:
    """Begin to import what jobs need, while the launcher does something else."""
    context = _context(preload)
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()


def _context(preload: Sequence[str]) -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _start(context: Any, call: Call, slot: Slot) -> _Running:
    ours, theirs = context.Pipe()
    environment = dict(os.environ)
    if slot.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot.gpu
    work = cloudpickle.dumps(call.work)
    # Not a daemon: a data pipeline may want processes of its own.
    process = context.Process(
        target=_job_process, args=(theirs, work, environment, slot.cores, str(call.log))
    )
    process.start()
    theirs.close()
    return _Running(call, slot, process, ours)


def _hear(job: _Running, watcher: Watcher) -> bool:
    """Take one piece of news; False when there is none any more, because the process is gone."""
    try:
        kind, value = job.connection.recv()
    except Exception:  # the end of the line, or a last word cut short
        return False
    if kind == "ended":
        job.last = Ended(**value)
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


def _end_at_once(running: list[_Running], watcher: Watcher) -> None:
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
) -> None:
    """The whole life of a job's process."""
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C goes to the launcher, which tells the jobs
    os.environ.clear()
    os.environ.update(environment)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    line = _Line(connection)
    try:
        end = Ended("returned", cloudpickle.loads(work)(line.tell, line.asked_to_stop))
    except (Exception, SystemExit) as error:
        text = traceback.format_exc()
        sys.stderr.write(text)
        end = Ended("raised", None, str(error), _names(error), text)
    except BaseException as error:  # told to stop
        end = Ended("interrupted", None, str(error), _names(error))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # too late: how it ended must be told
    sys.stdout.flush()
    sys.stderr.flush()
    line.tell("ended", vars(end))


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

    def asked_to_stop(self) -> str | None:
        if self._why is None:
            try:
                if self._connection.poll():
                    self._why = self._connection.recv()
            except (OSError, EOFError):
                self._why = "stopped"
        return self._why
