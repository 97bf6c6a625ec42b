"""Notices reach who is to save, and nobody who only serves others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from srexp import signals
from srexp.terminal.interruption import Interruption

_CHILD = """
import os, signal
from srexp import signals
for number in signals.ENDING:
    os.kill(os.getpid(), number)
print("still here", flush=True)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # as by whoever started it
signals.receive()
"""


def test_a_child_gets_them_once_it_wants_them() -> None:
    with signals.kept_from_children():
        child = subprocess.Popen([sys.executable, "-c", _CHILD], stdout=subprocess.PIPE)
    assert child.communicate(timeout=60)[0] == b"still here\n"
    assert -child.returncode in signals.ENDING
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(signals.ENDING)


@pytest.mark.parametrize("number", signals.ENDING)
def test_the_first_asks_to_save(number: signal.Signals) -> None:
    with Interruption() as interruption:
        interruption.graceful = True
        os.kill(os.getpid(), number)
        assert interruption.asked
        assert not interruption.raised
    assert interruption.exit_code == 128 + number


def test_notices_may_come_again_and_typing_stops_at_once() -> None:
    with Interruption() as interruption:
        interruption.graceful = True
        for number in (*signals.NOTICE, *signals.NOTICE):
            os.kill(os.getpid(), number)
        assert interruption.exit_code == 128 + signal.SIGHUP
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_what_is_held_is_cut_by_the_third_alone() -> None:
    with Interruption() as interruption:
        interruption.hold()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked and not interruption.raised
        with pytest.raises(KeyboardInterrupt):
            interruption.let_go()
        with pytest.raises(KeyboardInterrupt):  # though whoever stops is held again
            os.kill(os.getpid(), signal.SIGINT)
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # it waits for what is being said of the first
        with pytest.raises(KeyboardInterrupt):
            interruption.let_go()


def test_what_is_ignored_or_anothers_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # by nohup
    theirs = []
    signal.signal(signal.SIGUSR2, lambda *_: theirs.append(1))  # by submitit
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGUSR2)
        assert not interruption.asked
        assert theirs == [1]
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
