"""Workers that crash, hang, take too much, or are given up."""

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.pool import DecodePool
from dicom_graph.store.deadline import DEADLINE
from dicom_graph.telemetry import metrics
from tests.support.waiting import until


@pytest.fixture
async def pool() -> AsyncIterator[DecodePool]:
    made = DecodePool(2, seconds=60, memory_bytes=64 << 20)
    yield made
    made.close()


def double(number: int) -> int:
    return 2 * number


def crash() -> None:
    ctypes.string_at(0)


def fail() -> None:
    raise CorruptPixelsError("a stream of noise")


def hang(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def take(n_bytes: int) -> int:
    return len(bytearray(n_bytes))


async def started(path: Path) -> int:
    """The process that hangs."""
    await asyncio.to_thread(until, lambda: path.exists() and path.read_text())
    return int(await asyncio.to_thread(path.read_text))


def texts(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.iterdir()]


async def problem_of(call: object) -> ErrorCode:
    with pytest.raises(ImagingError) as caught:
        await call  # type: ignore[misc]
    return caught.value.problem


async def test_calls_run_in_other_processes(pool: DecodePool) -> None:
    assert await asyncio.gather(*(pool.run(double, number) for number in range(8))) == [
        2 * number for number in range(8)
    ]
    processes = set(await asyncio.gather(*(pool.run(os.getpid) for _ in range(8))))
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2


async def test_a_crash_is_its_own_call_s_alone(pool: DecodePool, tmp_path: Path) -> None:
    other = asyncio.create_task(pool.run(hang, str(tmp_path / "started")))
    await started(tmp_path / "started")
    assert await problem_of(pool.run(crash)) is ErrorCode.DECODER_CRASHED
    assert not other.done()
    assert await pool.run(double, 2) == 4
    other.cancel()


async def test_a_worker_killed_at_work(pool: DecodePool, tmp_path: Path) -> None:
    call = asyncio.create_task(pool.run(hang, str(tmp_path / "started")))
    os.kill(await started(tmp_path / "started"), signal.SIGKILL)
    assert await problem_of(call) is ErrorCode.DECODER_CRASHED
    assert await pool.run(double, 3) == 6


def is_dead(process: psutil.Process) -> bool:
    """Whether it has ended, its parent told or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_worker_killed_while_idle_is_replaced(pool: DecodePool) -> None:
    process = psutil.Process(await pool.run(os.getpid))
    process.kill()
    until(lambda: is_dead(process))
    await asyncio.sleep(0.5)
    assert await pool.run(double, 4) == 8


async def test_an_error_of_the_file_leaves_the_worker(pool: DecodePool) -> None:
    before = await pool.run(os.getpid)
    assert await problem_of(pool.run(fail)) is ErrorCode.CORRUPT_PIXELS
    assert await pool.run(os.getpid) == before


async def test_too_long_is_ended(tmp_path: Path) -> None:
    pool = DecodePool(1, seconds=0.5, memory_bytes=64 << 20)
    assert await problem_of(pool.run(hang, str(tmp_path / "started"))) is ErrorCode.TOO_SLOW
    if (tmp_path / "started").exists():
        process = int((tmp_path / "started").read_text())
        await asyncio.to_thread(until, lambda: not psutil.pid_exists(process))
    pool.close()


async def test_no_call_outlives_the_request_that_asks(pool: DecodePool, tmp_path: Path) -> None:
    """Neither one that runs, nor one that waits for others."""
    # That the workers start takes its time.
    await asyncio.gather(*(pool.run(double, number) for number in range(8)))
    now = asyncio.get_running_loop().time()

    async def ask(name: str) -> None:
        DEADLINE.set(now + 3)
        await pool.run(hang, str(tmp_path / name))

    async with asyncio.timeout(30):
        ends = await asyncio.gather(*(ask(str(n)) for n in range(5)), return_exceptions=True)
    assert [type(end) for end in ends] == [TimeoutError] * 5
    running = [int(text) for text in await asyncio.to_thread(texts, tmp_path)]
    assert len(running) == 2
    await asyncio.to_thread(until, lambda: not any(map(psutil.pid_exists, running)))
    assert await pool.run(double, 4) == 8


_kept: list[bytearray] = []


def keep(n_bytes: int) -> int:
    """As a decoder that leaks."""
    _kept.append(bytearray(n_bytes))
    return os.getpid()


def keep_and_fail(n_bytes: int) -> None:
    keep(n_bytes)
    raise CorruptPixelsError("a stream that asks for much")


async def test_a_worker_that_ran_out_of_memory_is_replaced() -> None:
    pool = DecodePool(1, seconds=60, memory_bytes=64 << 20)
    before = await pool.run(os.getpid)
    assert await problem_of(pool.run(take, 8 << 30)) is ErrorCode.TOO_LARGE
    assert await pool.run(os.getpid) != before
    pool.close()


@pytest.mark.parametrize("n_bytes", [1 << 20, 400 << 20])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_worker_that_keeps_much_is_replaced(fails: bool, n_bytes: int) -> None:
    pool = DecodePool(1, seconds=60, memory_bytes=64 << 20)
    before = await pool.run(os.getpid)
    if fails:
        assert await problem_of(pool.run(keep_and_fail, n_bytes)) is ErrorCode.CORRUPT_PIXELS
    else:
        assert await pool.run(keep, n_bytes) == before
    assert (await pool.run(os.getpid) == before) is (n_bytes == 1 << 20)
    pool.close()


async def test_what_leaks_a_little_each_time_is_replaced_in_time() -> None:
    pool = DecodePool(1, seconds=60, memory_bytes=64 << 20)
    pids = [await pool.run(keep, 50 << 20) for _ in range(12)]
    assert len(set(pids)) > 1
    pool.close()


async def test_a_worker_is_held_to_its_memory() -> None:
    """The whole process, not what it takes beside what it has."""
    pool = DecodePool(1, seconds=60, memory_bytes=900 << 20)
    assert await pool.run(take, 300 << 20) == 300 << 20
    assert await problem_of(pool.run(take, 900 << 20)) is ErrorCode.TOO_LARGE
    pool.close()


async def test_too_much_memory_is_refused(pool: DecodePool) -> None:
    assert await pool.run(take, 1 << 20) == 1 << 20
    assert await problem_of(pool.run(take, 8 << 30)) is ErrorCode.TOO_LARGE
    assert await pool.run(double, 5) == 10


async def test_a_call_that_is_given_up_frees_its_place(tmp_path: Path) -> None:
    pool = DecodePool(1, seconds=60, memory_bytes=64 << 20)
    call = asyncio.create_task(pool.run(hang, str(tmp_path / "started")))
    process = await started(tmp_path / "started")
    waiting = asyncio.create_task(pool.run(double, 6))
    call.cancel()
    assert await waiting == 12
    await asyncio.to_thread(until, lambda: not psutil.pid_exists(process))
    pool.close()


async def test_a_call_that_is_given_up_and_ends_soon_leaves_its_process() -> None:
    pool = DecodePool(1, seconds=60, memory_bytes=64 << 20)
    starting = asyncio.create_task(pool.run(os.getpid))
    await asyncio.sleep(0)
    starting.cancel()
    process = await pool.run(os.getpid)
    call = asyncio.create_task(pool.run(time.sleep, 0.3))
    await asyncio.sleep(0.05)
    call.cancel()
    assert await pool.run(os.getpid) == process
    pool.close()


def _figures() -> dict[str, float]:
    text = metrics.render([]).decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("dicom_graph_decoding")
    }


@pytest.mark.slow
async def test_figures_tell_who_decodes_who_waits_and_what_crashed(
    pool: DecodePool, tmp_path: Path
) -> None:
    before = _figures()
    calls = [asyncio.ensure_future(pool.run(hang, str(tmp_path / str(n)))) for n in range(3)]
    await started(tmp_path / "0")
    await started(tmp_path / "1")
    now = _figures()
    assert now["dicom_graph_decoding_in_use"] - before["dicom_graph_decoding_in_use"] == 2
    assert now["dicom_graph_decoding_queued"] - before["dicom_graph_decoding_queued"] == 1
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    # Given up, they have a moment to end.
    in_use = "dicom_graph_decoding_in_use"
    await asyncio.to_thread(until, lambda: _figures()[in_use] == before[in_use])
    assert await problem_of(pool.run(crash)) is ErrorCode.DECODER_CRASHED
    after, crashed = _figures(), "dicom_graph_decoding_crashed_total"
    assert after[crashed] - before[crashed] == 1
    for name in ("dicom_graph_decoding_in_use", "dicom_graph_decoding_queued"):
        assert after[name] == before[name]
