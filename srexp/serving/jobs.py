"""Pictures that wait to be enlarged, one after the other, and what came of them."""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from srexp.pictures import reading, writing
from srexp.pictures.picture import Frame
from srexp.upscaling.files import Made, NotDone, Settings, enlarge_stream
from srexp.upscaling.method import Method

# What a browser shows as it is, and without losses.
_SHOWN = ("PNG", "WEBP")


class Refused(Exception):
    """A request that is not done, as HTTP says it.

    Attributes:
        status: Of the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Stopped(Exception):
    """A job is not to be finished."""


@dataclass(frozen=True)
class Limits:
    """What the server takes on.

    Attributes:
        megabytes: Of a picture file.
        megapixels: Of a result, all frames together.
        seconds: Of work on one picture.
        waiting: Pictures that wait.
        kept_megabytes: Of results that were not fetched yet; the oldest go first.
        kept_seconds: How long these are kept.
    """

    megabytes: float = 32
    megapixels: float = 64
    seconds: float = 300
    waiting: int = 32
    kept_megabytes: float = 512
    kept_seconds: float = 600


@dataclass(eq=False)
class Job:
    """A picture on its way.

    Attributes:
        content: Of its file; empty when it is done.
        settings: How it is enlarged; the method is that of `method`.
        method: Makes the method, in the thread that uses it.
        own: Whether the result has the format of the picture, even one that loses something.
        views: Also make what a page shows: the result and bicubic, without losses.
        id: By which its owner finds it; cannot be guessed.
        state: `waiting`, `running`, `done`, `failed` or `cancelled`.
        share: Of the work that is done.
        error: Why it failed.
        made: Sizes and remarks.
        results: Name (`result`, `shown`, `bicubic`) -> format and content.
        seconds: Of work.
        ended: When it was, by `time.monotonic`.
        over: Set when it is.
    """

    content: bytes
    settings: Settings
    method: Callable[[], Method]
    own: bool = False
    views: bool = False
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: str = "waiting"
    share: float = 0.0
    error: str = ""
    made: Made | None = None
    results: dict[str, tuple[writing.Format, bytes]] = field(default_factory=dict)
    seconds: float = 0.0
    ended: float | None = None
    over: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Stop at the next tile; if it waits, it is not begun."""
        self._stop.set()
        if self.state == "waiting":
            self.state = "cancelled"
            self._end()

    @property
    def nbytes(self) -> int:
        """What it holds."""
        return len(self.content) + sum(len(content) for _, content in self.results.values())

    def run(self, most_seconds: float) -> None:
        """Do the work; however it ends, `state` says it."""
        if self.over.is_set():
            return
        self.state, began = "running", time.monotonic()
        pixels = 0

        def made(more: int, whole: int) -> None:
            nonlocal pixels
            pixels += more
            self.share = min(1.0, pixels / whole)
            if self._stop.is_set():
                raise _Stopped
            if time.monotonic() - began > most_seconds:
                raise NotDone(f"took longer than {most_seconds:g} seconds, the most that is spent")

        try:
            self._make(made)
            self.state = "cancelled" if self._stop.is_set() else "done"
        except _Stopped:
            self.state = "cancelled"
        except NotDone as error:
            self.state, self.error = "failed", str(error).removeprefix(f"{_NAME}: ")
        except Exception as error:  # one picture must not end the server
            self.state, self.error = "failed", f"{type(error).__name__}: {error}"
        self.seconds = time.monotonic() - began
        self._end()

    def _make(self, made: Callable[[int, int], None]) -> None:
        method = _Once(self.method())
        settings = replace(self.settings, method=method)
        with reading.opened(self.content, _NAME) as picture:
            usual = writing.usual_format(picture.format, picture.count)
            own = writing.FORMATS.get(picture.format.lower(), usual)
        kind = settings.format or (own if self.own else usual)
        self.made = self._write("result", settings, kind, made)
        if not self.views:
            return
        shown = kind if kind.name in _SHOWN and settings.quality is None else writing.FORMATS["png"]
        plain = replace(settings, quality=None, strip=False)
        if shown is not kind:
            self._write("shown", plain, shown, made)
        else:
            self.results["shown"] = self.results["result"]
        self._write("bicubic", replace(plain, method=Method("bicubic", "")), shown, made)

    def _write(
        self, name: str, settings: Settings, kind: writing.Format, made: Callable[[int, int], None]
    ) -> Made:
        if isinstance(settings.method, _Once):
            settings.method.again()
        file = io.BytesIO()
        told = enlarge_stream(self.content, file, replace(settings, format=kind), made, name=_NAME)
        self.results[name] = kind, file.getvalue()
        return told

    def _end(self) -> None:
        self.content, self.ended = b"", time.monotonic()
        if self.state != "done":
            self.results.clear()
        self.over.set()

    def told(self, place: int | None) -> dict[str, Any]:
        """What its owner is told, as JSON.

        Args:
            place: In the queue; 0 is next.
        """
        said: dict[str, Any] = {"id": self.id, "state": self.state, "share": round(self.share, 3)}
        if place is not None:
            said["before_it"] = place
        if self.error:
            said["error"] = self.error
        if self.state == "done" and self.made is not None:
            kind, content = self.results["result"]
            said |= {
                "before": list(self.made.before), "after": list(self.made.after),
                "remarks": self.made.remarks, "seconds": round(self.seconds, 3),
                "format": kind.name, "extension": kind.extension, "bytes": len(content),
            }  # fmt: skip
        return said


_NAME = "the picture"


class _Once(Method):
    """A method that makes each frame once, however often the picture is written."""

    def __init__(self, method: Method) -> None:
        super().__init__(
            method.name, method.digest, method.scales, method.network, method.interpolation,
            method.ensemble,
        )  # fmt: skip
        self._of = method
        self._made: list[Frame] = []
        self._at = 0

    def again(self) -> None:
        """The frames are asked for from the first one on."""
        self._at = 0

    def enlarged_frame(
        self, frame: Frame, size: tuple[int, int], made: Callable[[int], None] = lambda pixels: None
    ) -> Frame:
        if self._at == len(self._made):
            self._made.append(self._of.enlarged_frame(frame, size, made))
        self._at += 1
        return self._made[self._at - 1]


class Jobs:
    """The queue, and the threads that work on it."""

    def __init__(self, limits: Limits, workers: int = 1) -> None:
        """Args:
        limits: What is taken on.
        workers: Pictures at a time.
        """
        self.limits = limits
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._change = threading.Condition()
        self._waiting: list[Job] = []
        self._threads = [
            threading.Thread(target=self._work, name=f"srexp-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, job: Job) -> None:
        """Put a picture into the queue.

        Raises:
            Refused: The queue is full.
        """
        with self._change:
            self._forget()
            if len(self._waiting) >= self.limits.waiting:
                raise Refused(503, f"{len(self._waiting)} pictures wait already; try again later")
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._change.notify()

    def get(self, name: str) -> Job:
        """Raises Refused: there is no such job, or not any more."""
        with self._change:
            self._forget()
            if name not in self._jobs:
                raise Refused(404, "no such picture; results are kept for some minutes alone")
            return self._jobs[name]

    def place(self, job: Job) -> int | None:
        """How many are to be done before it; None if it does not wait."""
        with self._change:
            return self._waiting.index(job) if job in self._waiting else None

    def remove(self, job: Job) -> None:
        """Stop a picture, and forget what came of it."""
        job.cancel()
        with self._change:
            if job in self._waiting:
                self._waiting.remove(job)
            self._jobs.pop(job.id, None)

    def __len__(self) -> int:
        return len(self._waiting)

    def _forget(self) -> None:
        """What nobody fetched, after a while, or where it becomes too much."""
        now, held = time.monotonic(), sum(job.nbytes for job in self._jobs.values())
        for job in list(self._jobs.values()):
            if job.ended is None:
                continue
            late = now - job.ended > self.limits.kept_seconds
            if late or held > self.limits.kept_megabytes * 1e6:
                held -= job.nbytes
                del self._jobs[job.id]

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting)
                job = self._waiting.pop(0)
            job.run(self.limits.seconds)
