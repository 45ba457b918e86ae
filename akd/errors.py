"""The one exception that a person is meant to read."""


class InputError(Exception):
    """Something that the user gave cannot be used: the message says what, where and what to do."""
