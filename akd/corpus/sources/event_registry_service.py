"""The service Event Registry: its official client, the key, and what its errors mean."""

import logging
import os
import re
from functools import cached_property
from typing import Any

from eventregistry import (
    AccessError,
    EventRegistry,
    EventRegistryError,
    InvalidRequestError,
    NetworkError,
    QueryArticles,
    QueryError,
    RateLimitError,
    ServerError,
)

from akd.errors import InputError

_HOST = "https://eventregistry.org"  # as in the client
_SECONDS_BETWEEN_REQUESTS = 0.5  # what the client's authors wait, so as not to be shut out
_RETRIES = 5  # of 5xx, network errors and cut answers: waits 2 + 4 + ... + 32 s, about a minute
_REFUSALS = 12  # with 429, in a row: waits at most a minute each, as the service says or growing
_SHOWN_CHARACTERS = 200  # of what the service says in an error
_USED_UP = re.compile(r"\btokens\b|\bquota\b|\brequest limit\b", re.IGNORECASE)


class Service:
    """Event Registry as this machine reaches it; the key is needed at the first question.

    `EVENTREGISTRY_API_KEY` is the key, `EVENTREGISTRY_HOST` another host than the official one.
    """

    def __init__(self) -> None:
        self.host = (os.environ.get("EVENTREGISTRY_HOST") or _HOST).rstrip("/")

    def ask(self, query: QueryArticles, what: str) -> Any:
        """Return the answer to a query, repeated a bounded number of times where that may help.

        Args:
            query: with the result that it asks for.
            what: is asked, for the message of an error.

        Raises:
            InputError: if the key is missing or refused, its tokens are used up, the query is
                refused, or the service does not answer.
        """
        logger = logging.getLogger("eventregistry")
        censor = _Censor(self._key)
        logger.addFilter(censor)
        try:
            return self._client.execQuery(query, raiseOnError=True)
        except EventRegistryError as error:
            said = " ".join(censor.hide(error.responseText or str(error)).split())
            raise InputError(
                f"Event Registry, {what} ({said[:_SHOWN_CHARACTERS]}): {_advice(error)}"
            ) from None
        finally:
            logger.removeFilter(censor)

    @cached_property
    def _key(self) -> str:
        key = os.environ.get("EVENTREGISTRY_API_KEY", "").strip()
        if not key:
            raise InputError(
                "EVENTREGISTRY_API_KEY is not set: set it to the key of your account at "
                "newsapi.ai, or take the source of kind event_registry out of task.yaml"
            )
        return key

    @cached_property
    def _client(self) -> "_BoundedClient":
        return _BoundedClient(self._key, self.host)


class _BoundedClient(EventRegistry):
    """The official client, made to give up on 429, which by itself it repeats for ever."""

    def __init__(self, key: str, host: str) -> None:
        super().__init__(
            apiKey=key,
            host=host,
            minDelayBetweenRequests=_SECONDS_BETWEEN_REQUESTS,
            repeatFailedRequestCount=_RETRIES,
            # A path that cannot exist, so that no file in the home folder decides anything.
            settingsFName=os.path.join(os.devnull, "settings.json"),
        )
        self._refusals = 0

    def _requestOnce(self, *arguments: Any, **named: Any) -> Any:  # noqa: N802 - the client's name
        try:
            answer = super()._requestOnce(*arguments, **named)
        except RateLimitError as error:
            self._refusals += 1
            error.isTemporary = self._refusals < _REFUSALS  # by which the client decides to repeat
            raise
        self._refusals = 0
        return answer


class _Censor(logging.Filter):
    """Hides the key in what the client logs, such as warnings in the words of the service."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def hide(self, text: str) -> str:
        return text.replace(self._key, "***")

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.hide(record.getMessage()), ()
        return True


def _advice(error: EventRegistryError) -> str:
    """Return what is wrong and what to do.

    401 and 403 mean a bad key as well as used up tokens: only the words of the service tell.
    """
    is_used_up = _USED_UP.search(error.responseText or "") is not None
    match error:
        case AccessError() | QueryError() | InvalidRequestError() if is_used_up:
            return "the tokens of the key are used up, run again when it has new ones"
        case AccessError():
            return "the key is refused, check EVENTREGISTRY_API_KEY and its account"
        case QueryError() | InvalidRequestError():
            return "the query is refused, correct the domain in domains.yaml"
        case RateLimitError():
            return "too many requests at once, stop what else uses the key and run again"
        case ServerError():
            return "the service is down, run again later"
        case NetworkError():
            return "it does not answer, check the network and EVENTREGISTRY_HOST and run again"
        case _:
            return "the answer is not understood, run again later"
