"""Run one command that cannot outlive the process that asked for it.

Run as a script (`leash.py exec|watch <parent pid> <command...>`), with nothing but the standard
library, so that it starts in some ten milliseconds.

`exec` (Linux) asks the kernel for SIGKILL at the parent's death and then *becomes* the command:
no process in between, the pid is the command's own. The kernel ties the signal to the thread
that forked, which is why the supervisor starts children from the main thread alone.

`watch` (everywhere) stays beside the command and reads its standard input, whose other end only
the parent holds: the end of file comes however the parent died, kill -9 included.

The signal is SIGKILL and not SIGTERM because nobody is left to see whether a polite one worked;
every child here keeps its data through it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1
ORPHANED = 113  # exit code: the parent was gone before the command began


def become(parent: int, command: list[str]) -> None:
    """Replace this process by the command; it gets SIGKILL when the parent's thread ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:  # it died before the kernel knew that we care
        os._exit(ORPHANED)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is the supervisor's own
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


def watch(command: list[str]) -> None:
    """Run the command beside this process until it ends, or until standard input does."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    def report() -> None:
        code = child.wait()
        os._exit(code if code >= 0 else 128 - code)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    threading.Thread(target=report, daemon=True).start()
    while os.read(0, 1):
        pass
    child.kill()
    threading.Event().wait()  # report() ends the process with the child's code


def run(arguments: list[str]) -> None:
    """Dispatch `exec|watch <parent pid> <command...>`."""
    mode, parent, *command = arguments
    if mode == "exec":
        become(int(parent), command)
    else:
        watch(command)


if __name__ == "__main__":
    run(sys.argv[1:])
