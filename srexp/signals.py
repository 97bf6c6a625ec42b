"""The signals that ask a process to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# Typed by a person, who may do it twice.
AGAIN = (signal.SIGINT, signal.SIGTERM)
# A terminal that is closed, a scheduler that gives notice (Slurm's and Grid Engine's USR1 and
# USR2), a limit of CPU time; each may come several times.
NOTICE = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
ENDING = (*AGAIN, *NOTICE)


@contextmanager
def kept_from_children() -> Iterator[None]:
    """What is started meanwhile gets none of them until it calls `receive`.

    A terminal and a scheduler signal all processes of a group, also those that only serve others.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def receive() -> None:
    """Undo `kept_from_children` in a child, with what each signal does by default."""
    for number in NOTICE:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A shell has what it starts in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
