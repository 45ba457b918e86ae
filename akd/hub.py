"""The Hugging Face hub: what its client raises where something cannot be had."""


def network_failures() -> tuple[type[Exception], ...]:
    """Return what is raised where the hub cannot be reached."""
    # The hub offers its HTTP library under one name, whichever generation of it is installed.
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    return ConnectionError, httpx.HTTPError


def hub_failures() -> tuple[type[Exception], ...]:
    """Return what is raised where a model or file of the hub cannot be had, for any reason."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    of_the_hub = (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError)
    return *network_failures(), *of_the_hub, OSError
