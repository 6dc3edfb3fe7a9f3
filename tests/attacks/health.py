"""How long `/healthz` takes, seen from a process of its own: in that of the attackers whoever asks
would wait for their answers to be parsed.
"""

import http.client
import select
import sys
import time
from urllib.parse import urlsplit

_TIMEOUT = 30.0


def ask(url: str) -> float:
    """The seconds that an answer took, on a connection of its own as monitors have it; where there
    is none, more than any attack may take.
    """
    address = urlsplit(url)
    began = time.monotonic()
    asked = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT)
    try:
        asked.request("GET", "/healthz")
        asked.getresponse().read()
    except (OSError, http.client.HTTPException):
        return _TIMEOUT
    finally:
        asked.close()
    return time.monotonic() - began


def main() -> None:
    """Ask the server at the address given until the input ends; print the longest time."""
    longest = 0.0
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        longest = max(longest, ask(sys.argv[1]))
    print(longest)


if __name__ == "__main__":
    main()
