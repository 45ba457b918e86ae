"""params.yaml: what is shipped is valid, and every mistake is named."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from akd.errors import InputError
from akd.params import Params, load
from akd.wheels import Wheel
from tests.conftest import ROOT


@pytest.fixture
def raw() -> dict[str, Any]:
    """The shipped parameters."""
    value: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return value


def _load(raw: dict[str, Any], folder: Path) -> Any:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load(path)


def test_shipped_parameters_are_valid() -> None:
    params = load(ROOT / "params.yaml")
    assert params.pairs[params.pair].teacher.kind == "wheel"
    assert {"smollm2", "llama2", "opt", "gpt2"} <= set(params.pairs)


def test_an_unknown_pair_lists_the_known_ones(raw: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pair 'nope' is not one of gpt2, llama2"):
        _load({**raw, "pair": "nope"}, tmp_path)


def test_an_unknown_key_is_named(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["adapter"]["rank"] = 8
    with pytest.raises(InputError, match=r"adapter\.rank: Extra inputs"):
        _load(raw, tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2**32}, "seed"),
        ({"optimizer": {"learning_rate": float("inf")}}, "optimizer.learning_rate"),
        ({"distill": {"target_temperature": float("nan")}}, "distill.target_temperature"),
    ],
)
def test_a_number_that_no_run_could_take_is_refused(
    change: dict[str, Any], named: str, raw: dict[str, Any], tmp_path: Path
) -> None:
    for section, value in change.items():
        raw[section] = {**raw[section], **value} if isinstance(value, dict) else value
    with pytest.raises(InputError, match=named):
        _load(raw, tmp_path)


def test_disk_for_frozen_states_may_have_no_limit(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["distill"]["frozen_cache_gib"] = float("inf")
    assert _load(raw, tmp_path).distill.frozen_cache_gib == float("inf")


@pytest.mark.parametrize(
    ("section", "key", "text", "told"),
    [
        ("nli", "domain_hypothesis", "This is about nothing.", "needs {} once"),
        ("nli", "signal_hypothesis", "This is about {group}.", "needs {} once"),
        ("question", "domain", "Is it about {topic}?", "may hold {name} and {phrases}"),
        ("question", "signal", "Is it {about?", "may hold {name} and {phrases}"),
    ],
)
def test_a_question_of_the_filter_has_its_gaps(
    section: str, key: str, text: str, told: str, raw: dict[str, Any], tmp_path: Path
) -> None:
    raw["filter"][section][key] = text
    with pytest.raises(InputError, match=re.escape(told)):
        _load(raw, tmp_path)


def test_an_unknown_kind_is_named(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["quantization"] = {"kind": "int3"}
    with pytest.raises(InputError, match="quantization.kind: Input should be 'none' or 'nf4'"):
        _load(raw, tmp_path)


KINDS = ["lora", "dora", "series", "ia3", "bitfit", "prompt", "prefix", "full"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_adapter_alone_is_enough(
    raw: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    raw["adapter"]["kind"] = kind
    assert _load(raw, tmp_path).adapter.kind == kind


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"r": 0}, r"adapter\.r: Input should be greater than 0"),
        ({"kind": "adalora"}, r"adapter\.kind: Input should be 'lora', 'dora', 'series'"),
        (
            {"targets": "linear"},
            r"adapter\.targets\..*: Input should be 'all-linear' or 'attention'",
        ),
        ({"tokens": 0}, r"adapter\.tokens: Input should be greater than 0"),
        ({"frozen_share": -0.1}, r"adapter\.frozen_share: Input should be greater than or equal"),
        ({"frozen_share": 1.0}, r"adapter\.frozen_share: Input should be less than 1"),
    ],
)
def test_an_adapter_that_cannot_be(
    raw: dict[str, Any], tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    raw["adapter"] |= changes
    with pytest.raises(InputError, match=told):
        _load(raw, tmp_path)


def test_weights_in_four_bits_cannot_be_trained(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["adapter"]["kind"], raw["quantization"]["kind"] = "full", "nf4"
    told = "adapter 'full' trains weights, and 'nf4' has none that can be trained: set"
    with pytest.raises(InputError, match=told):
        _load(raw, tmp_path)


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_nothing_is_sampled_behind_virtual_tokens(
    raw: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    raw["adapter"]["kind"] = kind
    raw["distill"]["phases"]["phase-3"]["losses"] = {"minillm": 1.0}
    with pytest.raises(InputError, match="'minillm' of phase-3 does not sample behind virtual"):
        _load(raw, tmp_path)


def test_a_prefix_cannot_stand_where_keys_and_values_are_dropped(
    raw: dict[str, Any], tmp_path: Path
) -> None:
    raw["adapter"]["kind"], raw["optimizer"]["gradient_checkpointing"] = "prefix", True
    with pytest.raises(InputError, match="'prefix' stands in keys and values, which gradient"):
        _load(raw, tmp_path)


def test_nothing_has_a_default(raw: dict[str, Any], tmp_path: Path) -> None:
    del raw["optimizer"]["warmup"]
    with pytest.raises(InputError, match=r"optimizer\.warmup: Field required"):
        _load(raw, tmp_path)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models inside an annotation, and those inside their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation)
    for part in get_args(annotation):
        yield from _models(part)


def test_no_field_of_any_section_has_a_default_or_can_be_set_or_made_up() -> None:
    models = set(_models(Params))
    assert len(models) > 20
    for model in models:
        optional = [name for name, field in model.model_fields.items() if not field.is_required()]
        assert optional == (["python", "platform"] if model is Wheel else [])
        assert model.model_config.get("frozen")
        assert model.model_config.get("extra") == "forbid"


def test_numbers_that_yaml_reads_as_text_are_numbers(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["optimizer"]["learning_rate"] = "1e-05"  # as `-S optimizer.learning_rate=1e-5` leaves it
    assert _load(raw, tmp_path).optimizer.learning_rate == 1e-5


SERVER = {
    "kind": "openai",
    "base_url": "http://127.0.0.1:8000/v1",
    "model": "m",
    "chat": True,
    "top_log_probabilities": 20,
    "concurrency": 4,
    "token_budget": 1000,
    "cost_budget": 1.0,
    "price": 0.5,
    "timeout": 60,
    "retries": 2,
}


@pytest.mark.parametrize("engine", [{"kind": "vllm"}, SERVER], ids=["vllm", "openai"])
def test_a_black_box_has_no_hidden_states(
    raw: dict[str, Any], tmp_path: Path, engine: dict[str, Any]
) -> None:
    raw["label"]["engine"] = engine
    for kind in ("batch", "none"):
        raw["prompt"]["calibration"]["kind"] = kind
        assert _load(raw, tmp_path).label.engine.kind == engine["kind"]
    for kind in ("shots_probe", "auto"):
        raw["prompt"]["calibration"]["kind"] = kind
        told = f"{kind}' reads hidden states, and the engine '{engine['kind']}' gives none: choose"
        with pytest.raises(InputError, match=f"{told} `prompt.calibration.kind: batch`"):
            _load(raw, tmp_path)


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ({"kind": "oracle"}, "'transformers', 'vllm', 'openai'"),
        ({"kind": "vllm", "model": "m"}, r"vllm\.model: Extra inputs"),
        ({**SERVER, "api_key": "sk-1"}, r"openai\.api_key: Extra inputs"),
        ({**SERVER, "token_budget": 0}, r"openai\.token_budget: .* greater than 0"),
        ({name: SERVER[name] for name in SERVER if name != "price"}, r"openai\.price: Field req"),
    ],
)
def test_an_engine_that_is_not_one(
    raw: dict[str, Any], tmp_path: Path, engine: dict[str, Any], told: str
) -> None:
    raw["label"]["engine"] = engine
    with pytest.raises(InputError, match=told):
        _load(raw, tmp_path)


def test_a_phase_must_start_from_a_phase(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["distill"]["phases"]["phase-2"]["init_from"] = "phase-9"
    with pytest.raises(InputError, match="unknown phase 'phase-9'"):
        _load(raw, tmp_path)


def test_phases_form_no_circle(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["distill"]["phases"]["phase-1"]["init_from"] = "phase-3"
    with pytest.raises(InputError, match="circle: phase-1 <- phase-3 <- phase-2 <- phase-1"):
        _load(raw, tmp_path)


def test_the_final_phase_is_a_phase(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["distill"]["final"] = "phase-9"
    with pytest.raises(InputError, match="final is 'phase-9', which is no phase"):
        _load(raw, tmp_path)


@pytest.mark.parametrize(
    ("loss", "place", "value"),
    [
        ("rationale", ("rationales", "share"), 0.5),
        ("ted", ("states",), [1.0]),
        ("hidden", ("engine",), {"kind": "transformers", "quantization": "none"}),
        ("minillm", ("engine",), {"kind": "transformers", "quantization": "none"}),
    ],
)
def test_a_loss_of_a_late_phase_is_fed_or_refused_before_any_training(
    raw: dict[str, Any], tmp_path: Path, loss: str, place: tuple[str, ...], value: object
) -> None:
    raw["distill"]["phases"]["phase-3"]["losses"][loss] = 0.1
    raw["label"]["rationales"]["share"] = 0.0
    raw["label"]["states"] = []
    raw["prompt"]["calibration"]["kind"] = "auto"
    if loss in ("hidden", "minillm"):
        raw["label"]["engine"], raw["prompt"]["calibration"]["kind"] = SERVER, "batch"
    with pytest.raises(InputError, match=f"the loss '{loss}' of phase-3 needs"):
        _load(raw, tmp_path)
    section = raw["label"]
    for name in place[:-1]:
        section = section[name]
    section[place[-1]] = value
    assert loss in _load(raw, tmp_path).distill.phases["phase-3"].losses


def test_files_that_are_missing_or_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run from the root"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not YAML"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("task: café", encoding="latin-1")
    with pytest.raises(InputError, match="not UTF-8: save it"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize("kind", ["auto", "batch"])
def test_mean_states_need_an_engine_that_gives_them(
    raw: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    raw["label"]["states"], raw["prompt"]["calibration"]["kind"] = [0.5], kind
    assert _load(raw, tmp_path).label.states == [0.5]
    raw["label"]["engine"], raw["prompt"]["calibration"]["kind"] = SERVER, "batch"
    with pytest.raises(InputError, match="`label.states` .* 'openai' gives none"):
        _load(raw, tmp_path)


@pytest.mark.parametrize("kind", ["vllm", "transformers"])
def test_reasons_need_an_engine_that_can_be_told_the_label(
    raw: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    raw["prompt"]["calibration"]["kind"] = "batch"
    if kind != "transformers":
        raw["label"]["engine"] = {"kind": kind}
    assert _load(raw, tmp_path).label.rationales.share == 0.0
    raw["label"]["rationales"]["share"] = 0.1
    if kind == "transformers":
        assert _load(raw, tmp_path).label.rationales.share == 0.1
    else:
        with pytest.raises(InputError, match="'vllm' cannot give the reason of a label"):
            _load(raw, tmp_path)
