"""A process that reads files for another one: it gets paths, and sends back contents.

It knows nothing of the store, so that it starts soon, and ends when the one that started it does.
"""

import gc
import logging
import os
import pickle
import sys
import warnings
from multiprocessing.connection import Connection

from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.content import Content, ContentReader
from dicom_graph.importing.wire import Packer, Read

READY = b"ready"
_MAX_WEIGHT = 4 << 20
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


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
    try:
        answers.send_bytes(READY)
        serve(orders, answers, ContentReader(Mode(mode), max_inline_bytes))
    except (EOFError, OSError):
        # Whoever asked is gone.
        os._exit(0)


def serve(orders: Connection, answers: Connection, reader: ContentReader) -> None:
    """Answer each order, a list of (folder, name, mode at least kept, roots), with contents in that
    order.

    An answer comes in one part or more, so that neither side holds too much at once.
    """
    packer = Packer()
    while True:
        contents: list[Read] = []
        weight = 0
        for directory, name, at_least, roots in pickle.loads(orders.recv_bytes()):
            content = reader.read(os.path.join(directory, name), Mode(at_least), roots)
            contents.append(content)
            weight += content.weight if isinstance(content, Content) else 0
            if weight > _MAX_WEIGHT:
                answers.send_bytes(packer.pack(contents))
                contents, weight = [], 0
        if contents:
            answers.send_bytes(packer.pack(contents))
