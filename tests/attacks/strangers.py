"""Before a login: many connections, requests and streams that nobody knows, from one address."""

import time
from functools import partial

import httpx

from tests.attacks.crowds import FORM, Site, again_and_again, crowd, guarded, head, upgrade
from tests.attacks.heads import endless
from tests.faults.ground import Ground

_SLOW_LOGIN = head("POST", "/login", FORM, "Content-Length: 90")
_LIMIT = 1 << 30


def _scale(ground: Ground) -> int:
    """How many times smaller server and crowd are than in earnest."""
    return 1 if ground.is_whole else 4


def _stay(site: Site, ground: Ground) -> str:
    """A user asks and logs in for a while."""
    end = time.monotonic() + max(ground.seconds, 1.0)
    while time.monotonic() < end or len(site.times) < 3:
        site.ask()
        assert site.is_healthy()
    site.log_in()
    return site.told()


def slow_logins(ground: Ground) -> str:
    """505 logins whose form does not come."""
    scale = _scale(ground)
    with (
        guarded(ground, max_requests=500 // scale) as site,
        crowd(site.served, _SLOW_LOGIN, 505 // scale),
    ):
        return _stay(site, ground)


def silent_websockets(ground: Ground) -> str:
    """2,000 WebSockets that say nothing."""
    scale = _scale(ground)
    with (
        guarded(ground, max_streams=2000 // scale) as site,
        crowd(site.served, upgrade(), 2000 // scale),
    ):
        return _stay(site, ground)


def silent_sockets(ground: Ground) -> str:
    """1,100 connections that say nothing, to a server that may have 1,024 files open."""
    scale = 1 if _scale(ground) == 1 else 2
    with (
        guarded(ground, open_files=1024 // scale) as site,
        crowd(site.served, b"", 1100 // scale),
    ):
        return _stay(site, ground)


def guessed_passwords(ground: Ground) -> str:
    """Wrong passwords, tokens and sessions, as fast as the server says no."""
    with guarded(ground) as site:
        url = f"{site.served.url}/graphql"
        site.ask()
        wrong = [
            {"auth": ("Jo", "wrong")},
            {"headers": {"Authorization": "Bearer wrong"}},
            {"headers": {"Cookie": "dicom_graph_session=wrong"}},
        ]
        guesses = [partial(httpx.post, url, json={}, timeout=30, **each) for each in wrong]
        with again_and_again(*guesses * max(2, ground.clients // 6)):
            for _ in range(5):
                site.ask()
                assert site.is_healthy()
        return site.told()


def all_at_once(ground: Ground) -> str:
    """All of these together, and heads without an end; then a login."""
    with guarded(ground) as site:
        site.ask()
        url = f"{site.served.url}/graphql"
        guess = partial(httpx.post, url, json={}, auth=("Jo", "wrong"), timeout=30)
        attempts = [partial(endless, site.served, name) for name in ("fields", "a value")]
        attempts += [partial(come_and_go, site, *each) for each in strangers(ground)]
        with again_and_again(guess, *attempts):
            end = time.monotonic() + max(ground.seconds, 3.0)
            while time.monotonic() < end or len(site.times) < 6:
                site.ask()
                assert site.is_healthy()
        # From where so many wrong passwords come, the right one has to wait.
        site.log_in("127.0.0.2")
        assert site.most < _LIMIT
        return site.told()


def strangers(ground: Ground) -> list[tuple[bytes, int]]:
    """What each crowd of them sends, and how many they are."""
    scale = _scale(ground)
    return [(_SLOW_LOGIN, 505 // scale), (upgrade(), 2000 // scale), (b"", 1100 // scale)]


def come_and_go(site: Site, sent: bytes, count: int) -> None:
    """A crowd for half a second."""
    with crowd(site.served, sent, count):
        time.sleep(0.5)


ATTACKS = {
    "slow-logins": slow_logins,
    "silent-websockets": silent_websockets,
    "silent-sockets": silent_sockets,
    "guessed-passwords": guessed_passwords,
    "strangers-at-once": all_at_once,
}
