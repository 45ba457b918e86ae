"""The server of a teacher: its address, its key, and what its failures mean."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI
from pydantic import SecretStr

from akd.errors import InputError


def key_from_environment() -> str:
    """Return the key in `OPENAI_API_KEY`.

    Raises:
        InputError: if it is not set, or cannot be sent in a header; the key is never shown.
    """
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key:
        raise InputError(
            "OPENAI_API_KEY is not set: export the key of the teacher's server, "
            "or any word if the server wants none"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError("OPENAI_API_KEY holds characters that no key has: export it again")
    return key


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an open bracket
        return False


@dataclass(frozen=True)
class Server:
    """Where requests go, and how often.

    Attributes:
        base_url: of the API, such as http://127.0.0.1:8000/v1.
        model: its name on the server.
        key: is never shown.
        timeout: of one request, in seconds.
        retries: of one request.

    Raises:
        InputError: if the URL is none.
    """

    base_url: str
    model: str
    key: SecretStr
    timeout: float
    retries: int

    def __post_init__(self) -> None:
        if not _is_address(self.base_url):
            raise InputError(
                f"{self.base_url!r} is no address of a server: begin it with http(s)://"
            )

    @property
    def name(self) -> str:
        """Return how an error names it."""
        return f"the teacher {self.model} at {self.base_url}"

    def connect(self) -> AsyncOpenAI:
        """Return a client of it."""
        return AsyncOpenAI(
            base_url=self.base_url,
            api_key=self.key.get_secret_value(),
            timeout=self.timeout,
            max_retries=self.retries,
        )

    def complaint(self, error: APIConnectionError | APIStatusError) -> str:
        """Say what a failed request means, and what to do."""
        tried = f"(up to {self.retries} retries)"
        match error:
            case APITimeoutError():
                return f"did not answer within {self.timeout:g} s {tried}: raise the timeout"
            case APIConnectionError():
                return f"refuses or drops the connection {tried}: start it, or check its address"
            case APIStatusError(status_code=401 | 403):
                return "refuses the key in OPENAI_API_KEY: export one that is valid there"
            case APIStatusError(status_code=404):
                return "does not exist: check the model's name and the address (often .../v1)"
            case APIStatusError(status_code=429):
                return f"limits the rate {tried}: lower the concurrency, or check your quota there"
            case APIStatusError(status_code=code) if code >= 500:
                return f"fails with status {code} {tried}: look at its log and run again"
            case APIStatusError():
                return f"refuses a request ({self.reason(error)}): change what it names"

    def reason(self, error: APIStatusError) -> str:
        """Return what the server says of a request that it refuses, without the key."""
        return " ".join(error.message.replace(self.key.get_secret_value(), "***").split())
