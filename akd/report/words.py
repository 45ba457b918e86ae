"""How models, metrics and numbers are written for a reader."""

import json
from collections.abc import Mapping
from typing import Any

_MODELS = {
    "teacher": "teacher",
    "student_base": "student as is",
    "student": "student",
    "tfidf": "TF-IDF + logistic regression",
}
"""Names of the rows of the headline table."""

_SPELT = {
    "ece": "ECE",
    "f1": "F1",
    "gb": "GB",
    "gib": "GiB",
    "kwh": "kWh",
    "mb": "MB",
    "tfidf": "TF-IDF",
    "wh": "Wh",
}


def named(key: str) -> str:
    """Return a key of a metrics file as words."""
    if key == "student_base":
        return _MODELS[key]
    return " ".join(_SPELT.get(word, word) for word in key.split("_"))


def model_name(key: str) -> str:
    """Return the name of a model."""
    return _MODELS.get(key, named(key))


def decimal(value: float, signed: bool = False) -> str:
    """Return three decimals, with a true minus sign."""
    return f"{value:{'+' if signed else ''},.3f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def bounds(found: Mapping[str, Any], signed: bool = False) -> str:
    """Return an interval in brackets."""
    return f"[{decimal(found['low'], signed)}, {decimal(found['high'], signed)}]"


def value(found: Any) -> str:
    """Return any value of a JSON or YAML file as text."""
    match found:
        case bool() | None:
            return json.dumps(found)
        case int():
            return f"{found:,}".replace("-", "−")
        case float():
            return decimal(found) if found == 0 or abs(found) >= 1e-3 else f"{found:g}"
        case str():
            return found
        case _:
            return json.dumps(found, ensure_ascii=False)


def size(count: int | None) -> str:
    """Return bytes in the largest unit of thousands in which they are at least 1."""
    if count is None:
        return ""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count} B"
