"""The one exception that a person is meant to read."""


class InputError(Exception):
    """Something that the user gave cannot be used: the message says what, where and what to do."""


def reason_of(error: Exception) -> str:
    """Return the first line of what an error says, or its name if it says nothing."""
    told = str(error).strip()
    return told.splitlines()[0] if told else type(error).__name__
