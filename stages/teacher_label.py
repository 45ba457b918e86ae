"""teacher-label: every filtered article once through the teacher; resumable."""

from akd import console, params
from akd.console import PathOption
from akd.io import read_table, write_json
from akd.models.architecture import depths_to_layers
from akd.models.truncation import excerpts
from akd.prompts import store as prompts
from akd.records import FILTERED
from akd.task import load_task
from akd.teacher.engine import open_engine
from akd.teacher.folder import describe, model_fingerprint, write_signals
from akd.teacher.label import half, of_blocks, signals
from akd.teacher.rationales import open_explainer
from akd.teacher.store import score_all


def main(
    task: PathOption, filtered: PathOption, models: PathOption, prompt: PathOption,
    out: PathOption, metrics: PathOption,
) -> None:  # fmt: skip
    """Write signals and hidden states of the articles, and reasons of some."""
    label, adapted = params.load().label, prompts.load(prompt)
    articles = read_table(filtered / "articles", FILTERED)
    texts = articles["text"].to_list()
    engine = open_engine(
        label.engine,
        models / "teacher",
        text_tokens=label.article_tokens,
        batch_size=label.batch_size,
    )
    kept = depths_to_layers(label.states, engine.layers)
    read = sorted({*adapted.layers, *kept})
    explainer = open_explainer(
        engine,
        adapted,
        load_task(task),
        label.rationales,
        **label.model_dump(include={"batch_size", "shard_articles"}),
        text_tokens=label.article_tokens,
    )
    store, teacher = engine.store(adapted.prompt, read), engine.build(adapted.prompt, read)
    scores = score_all(teacher.score, texts, store, engine.shard(label.shard_articles))
    if engine.ledger is not None:
        console.say(f"teacher: {engine.ledger.spent()}")
    told = of_blocks(scores, read, adapted.layers)
    frame, hidden = signals(articles["id"].to_list(), told, adapted.calibrator, adapted.labels)
    reasons = None if explainer is None else explainer.explain(frame, texts)
    write_signals(
        out,
        frame,
        hidden,
        labels=adapted.labels,
        blocks=engine.layers,
        model=model_fingerprint(engine.decides()["model"]),
        fingerprint=store.fingerprint,
        means=(half(of_blocks(scores, read, kept).states), kept) if kept else None,
        rationales=None if reasons is None else reasons.table,
    )
    counts = {} if reasons is None else {"rationales": reasons.metrics()}
    cut = sum(not found.whole for found in excerpts(texts, engine.tokenizer, label.article_tokens))
    write_json(metrics, {**describe(out), "truncated": cut, **counts})


if __name__ == "__main__":
    console.run(main)
