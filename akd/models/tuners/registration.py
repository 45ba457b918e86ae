"""Registration of a tuner of our own with PEFT, which knows its methods by an enumeration."""

from typing import Any

from peft import PeftType
from peft.utils import register_peft_method


def register(name: str, config: type[Any], model: type[Any]) -> PeftType:
    """Make a tuner known to PEFT, so that `PeftModel` saves and loads it like its own.

    `register_peft_method` takes only names that are members of `PeftType`, and an enumeration is
    closed: the member is entered into its tables by hand.

    Args:
        name: in lower case; its parameters have the prefix `<name>_`.
        config: the `PeftConfig` of the tuner.
        model: the `BaseTuner`.

    Returns:
        The new member.
    """
    value = name.upper()
    member = str.__new__(PeftType, value)
    member._name_ = member._value_ = value
    type.__setattr__(PeftType, value, member)
    PeftType._member_names_.append(value)
    PeftType._member_map_[value] = member
    PeftType._value2member_map_[value] = member
    register_peft_method(name=name, config_cls=config, model_cls=model, prefix=f"{name}_")
    return member
