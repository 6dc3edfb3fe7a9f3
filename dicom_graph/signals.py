"""Which signals end a command."""

import atexit
import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """Ctrl+C, SIGTERM, and SIGHUP, which a terminal or a connection sends that goes away.

    SIGHUP is left alone where it is ignored: so `nohup` runs a command on.
    """
    both = (signal.SIGINT, signal.SIGTERM)
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return both
    return (*both, hangup)


def ignore_at_exit() -> None:
    """Once the interpreter takes itself down, no second signal changes the status of the process.

    Python gives signals back to the system then, which would end the process by them: a terminal
    and its shell both send SIGHUP, and who is impatient presses Ctrl+C twice.
    """
    atexit.register(_ignore)


def _ignore() -> None:
    for each in ending_signals():
        signal.signal(each, signal.SIG_IGN)
