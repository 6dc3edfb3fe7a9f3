"""Which signals end a command."""

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
