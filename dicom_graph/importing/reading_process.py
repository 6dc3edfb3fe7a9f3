"""A process that reads files for another one: it gets paths, and sends back contents.

It knows nothing of the store, so that it starts soon, and ends when the one that started it does.
"""

import gc
import logging
import mmap
import os
import pickle
import signal
import sys
import tempfile
import warnings
from multiprocessing.connection import Connection
from struct import Struct

from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.content import Content, ContentReader
from dicom_graph.importing.serialization import Packer, Read

READY = b"ready"
_MAX_WEIGHT = 4 << 20
_OBJECTS_BETWEEN_COLLECTIONS = 100_000
_NUMBER = Struct("=Q")


class InProgress:
    """Which file a reading process is at, in memory that it shares with the one that started it.

    Files are numbered from 1 as they are begun; 0 means none.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, mmap.PAGESIZE)
        self._begun = 0

    @classmethod
    def new(cls) -> "InProgress":
        """To be shared by passing on its descriptor."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("dicom-graph")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.truncate(descriptor, mmap.PAGESIZE)
        return cls(descriptor)

    def begin(self) -> None:
        """Another file is begun."""
        self._begun += 1
        _NUMBER.pack_into(self._memory, 0, self._begun)

    def end(self) -> None:
        """It is read."""
        _NUMBER.pack_into(self._memory, 0, 0)

    def number(self) -> int:
        """That of the file that is being read, or 0."""
        return int(_NUMBER.unpack_from(self._memory)[0])

    def close(self) -> None:
        """Let the memory go."""
        self._memory.close()
        os.close(self.descriptor)


def main() -> None:
    """Read what comes on standard input until that ends."""
    logging.disable()
    warnings.simplefilter("ignore")
    # A file makes hundreds of objects, and next to no garbage that is not gone by itself.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    orders, answers = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    # What a library prints must not get between the answers.
    os.dup2(2, 1)
    mode, max_inline_bytes = map(int, sys.argv[1:3])
    # Where nobody is left to kill it, a file ends it.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    seconds, in_progress = 2 * float(sys.argv[3]) + 10, InProgress(int(sys.argv[4]))
    try:
        answers.send_bytes(READY)
        reader = ContentReader(Mode(mode), max_inline_bytes)
        serve(orders, answers, reader, in_progress, seconds)
    except (EOFError, OSError):
        # Whoever asked is gone.
        os._exit(0)


def serve(
    orders: Connection,
    answers: Connection,
    reader: ContentReader,
    in_progress: InProgress,
    seconds: float,
) -> None:
    """Answer each order, a list of (folder, name, mode at least kept, roots), with contents in that
    order.

    An answer comes in one part or more, so that neither side holds too much at once. A file that
    takes more than `seconds` ends the process.
    """
    packer = Packer()
    while True:
        contents: list[Read] = []
        weight = 0
        for directory, name, at_least, roots in pickle.loads(orders.recv_bytes()):
            in_progress.begin()
            signal.setitimer(signal.ITIMER_REAL, seconds)
            content = reader.read(os.path.join(directory, name), Mode(at_least), roots)
            signal.setitimer(signal.ITIMER_REAL, 0)
            in_progress.end()
            contents.append(content)
            weight += content.weight if isinstance(content, Content) else 0
            if weight > _MAX_WEIGHT:
                answers.send_bytes(packer.pack(contents))
                contents, weight = [], 0
        if contents:
            answers.send_bytes(packer.pack(contents))
