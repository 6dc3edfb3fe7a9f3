"""What happens when things break: each fault is made on purpose, to a server that runs.

    python -m tests.faults database-gone --database postgresql
    python -m tests.faults websockets --clients 1000 --server-process
    python -m tests.faults all

Each prints what was seen, and fails where it is not what a user may expect. Faults that cannot be
made here, such as a full disk where no small one may be mounted, are skipped with the reason.
"""
