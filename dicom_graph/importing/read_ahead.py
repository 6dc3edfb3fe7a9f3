"""Reading files in the order given, ahead of the process that writes them to the database; many
files are read by several processes."""

from collections import deque
from collections.abc import Iterator
from enum import Enum

from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.pool import Chunk, ReaderPool
from dicom_graph.importing.reader import FileReader, Result, path_of
from dicom_graph.importing.timeouts import FILE_SECONDS, CallTimeout, TimedCalls, TimeoutFailure
from dicom_graph.store.ingest import FileRecord

_MANY = 20
_CHUNK_FILES = 128
_CHUNK_BYTES = 64 << 20
_CHUNKS_PER_PROCESS = 6
_PATIENCE_S = 0.5


class PendingResult(Enum):
    """What stands for a result that is not there yet."""

    PENDING = "waiting"


PENDING = PendingResult.PENDING


class ReadAhead:
    """Files in, results out, in the same order.

    The first `few` files are read in this process, and some more until others have started; with
    one process, all. A file that takes more than `seconds` fails. One that does so in this process,
    where nothing can end it, is the last one read here: a process that can be killed reads the
    others. `calls` runs what is read here.
    """

    def __init__(
        self,
        mode: Mode,
        max_inline_bytes: int,
        processes: int,
        *,
        few: int = 200,
        seconds: float = FILE_SECONDS,
        calls: TimedCalls | None = None,
    ) -> None:
        self._mode = mode
        self._max_inline_bytes = max_inline_bytes
        self._processes = processes
        self._few = few
        self._seconds = seconds
        self._calls = calls or TimedCalls(seconds)
        self._reader = FileReader(mode, max_inline_bytes)
        self._n_files = 0
        self._pool: ReaderPool | None = None
        self._is_pooled = False
        self._is_stuck = False
        self._line: deque[Chunk] = deque()
        self._unsent: deque[Chunk] = deque()
        self._open = Chunk()
        self._bytes = 0
        self._sent_folder: str | None = None

    def close(self) -> None:
        """Give up what is not read yet. No folder stays open, so that a disk can be unmounted."""
        self._calls.close()
        if not self._is_stuck:
            self._reader.close()
        if self._pool is not None:
            self._pool.close()

    def put(self, file: FileRecord, *, replaces: Mode | None = None) -> None:
        """Have a file read; see `FileReader.read`."""
        self._n_files += 1
        if not self._has_pool():
            self.pass_on(self._read_here(file, replaces))
            return
        last = self._open.files[-1][0] if self._open.files else file
        is_new_folder = file.directory != last.directory
        if is_new_folder and len(self._open.files) >= _CHUNK_FILES // 4:
            self._close_chunk()
        self._open.files.append((file, replaces))
        self._bytes += file.size
        if len(self._open.files) >= _CHUNK_FILES or self._bytes >= _CHUNK_BYTES:
            self._close_chunk()

    def _read_here(self, file: FileRecord, replaces: Mode | None) -> Result:
        try:
            return self._calls.run(self._reader.read, file, replaces=replaces)
        except CallTimeout as error:
            self._start_pool()
            self._is_pooled = self._is_stuck = True
            return TimeoutFailure(path_of(file), str(error.strerror))

    def pass_on(self, result: Result) -> None:
        """A result that is known already takes its place in the line."""
        self._open.passed.setdefault(len(self._open.files), []).append(result)

    def ready(self) -> Iterator[Result | PendingResult]:
        """The results that are there; where too many files wait, also some that are not yet."""
        limit = self._processes * _CHUNKS_PER_PROCESS
        yield from self._results(limit)

    def rest(self) -> Iterator[Result | PendingResult]:
        """All results that are left."""
        self._close_chunk()
        yield from self._results(0)

    def _results(self, limit: int) -> Iterator[Result | PendingResult]:
        while self._line:
            if self._line[0].is_read:
                yield from self._line.popleft().all_results()
            elif len(self._line) <= limit:
                return
            elif not self._receive(_PATIENCE_S):
                yield PENDING
        if not self._open.files:
            known, self._open = self._open, Chunk()
            yield from known.all_results()

    def _has_pool(self) -> bool:
        if not self._is_pooled and self._processes > 1 and self._n_files > self._few:
            pool = self._start_pool()
            is_slow = self._n_files > self._few * _MANY
            self._is_pooled = is_slow or pool.is_ready()
        return self._is_pooled

    def _start_pool(self) -> ReaderPool:
        if self._pool is None:
            self._pool = ReaderPool(
                self._mode, self._max_inline_bytes, self._processes, self._seconds, self._calls
            )
        return self._pool

    def _close_chunk(self) -> None:
        """The open chunk is complete: have it read."""
        if self._open.files or self._open.passed:
            self._line.append(self._open)
            self._unsent.append(self._open)
            self._open, self._bytes = Chunk(), 0
        self._receive(0)

    def _receive(self, timeout: float) -> bool:
        if self._pool is None:
            return False
        self._send()
        has_received = self._pool.receive(timeout)
        self._send()
        return has_received

    def _send(self) -> None:
        assert self._pool is not None
        while self._unsent:
            files = self._unsent[0].files
            if files and not self._pool.read(
                self._unsent[0], near=files[0][0].directory == self._sent_folder
            ):
                return
            if files:
                self._sent_folder = files[-1][0].directory
            self._unsent.popleft()
