"""What a step of the corpus kept and rejected, as metrics."""

from typing import Any

import polars as pl


def counts(kept: pl.DataFrame, rejected: pl.DataFrame) -> dict[str, Any]:
    """Return rows in, kept and rejected, by reason, domain and language (of the kept ones)."""
    rows_in = kept.height + rejected.height
    return {
        "rows_in": rows_in,
        "kept": kept.height,
        "kept_share": round(kept.height / rows_in, 4) if rows_in else 0.0,
        "rejected": rejected.height,
        "reasons": _sizes(rejected, "reason"),
        "kept_by_domain": _sizes(kept, "domain"),
        "rejected_by_domain": _sizes(rejected, "domain"),
        "kept_by_language": _sizes(kept, "language"),
    }


def _sizes(frame: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(frame.group_by(column).len().sort(column).iter_rows())
