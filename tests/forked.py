"""Processes forked from the one of the tests, which has imported already what takes a fresh one seconds."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import NamedTuple

#: A program that runs command lines, its arguments, one after the other in a process that loads PyTorch once.
ONE_AFTER_ANOTHER = """
import sys
from voltphase.cli import main
for line in sys.argv[1:]:
    sys.argv = ["voltphase", *line.split()]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    stdout: str
    stderr: str


class Forked:
    """A process that does something with streams of its own, and ends as a Python of its own would."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._files = [tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2)]  # noqa: SIM115
        self.pid = os.fork()
        if self.pid:
            return
        code: object = 1
        try:
            take_streams(*(file.fileno() for file in self._files))
            do()
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code if isinstance(code, int) else int(code is not None))

    def wait(self) -> Ended:
        """Wait for its end."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        said = []
        for file in self._files:
            file.seek(0)
            said.append(file.read())
            file.close()
        return Ended(code, *said)


def take_streams(stdout: int, stderr: int) -> None:
    """Have this process, a forked one, write into open files instead of what pytest keeps of the tests' output."""
    for number, file in ((1, stdout), (2, stderr)):
        os.dup2(file, number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, encoding="utf-8") for number in (1, 2))
