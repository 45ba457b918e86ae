"""What may not get worse from one revision to the next (`gate` of params.yaml)."""

from typing import Literal

from akd.specs.base import Frozen, NotNegative


class GateRule(Frozen):
    """One figure: where it stands, which way is better, and how much worse is still let through.

    `metric` is its path in the file, with dots. What is let through is the larger one of `absolute`
    and `relative` times the old value.
    """

    file: str
    metric: str
    better: Literal["higher", "lower"]
    absolute: NotNegative
    relative: NotNegative
