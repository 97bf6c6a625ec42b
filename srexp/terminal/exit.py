"""How commands end."""

from __future__ import annotations

import sys
from typing import NoReturn


class CommandFailed(Exception):
    """What ends a command after it began: a message and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CommandInterrupted(BaseException):
    """A signal ended a job: no Exception, so that a sweep does not go on to the next one."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def fail(message: str, exit_code: int = 2) -> NoReturn:
    """One line on stderr and the exit code, 2 for bad input."""
    try:
        print(f"srexp: {message}", file=sys.stderr)
    except OSError:
        pass  # nobody is there to read it
    sys.exit(exit_code)
