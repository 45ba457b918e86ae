"""prompt: search the teacher's prompt and calibrate it on shots and unlabelled articles."""

from akd import console, params
from akd.console import PathOption
from akd.corpus.examples import balanced, with_texts
from akd.corpus.sampling import sample
from akd.io import read_table, write_csv, write_json, write_json_lines
from akd.prompts import store
from akd.prompts.adapt import adapt, search_curve, summary, tree_rows
from akd.prompts.search import Shot
from akd.records import FILTERED
from akd.task import load_examples, load_task
from akd.teacher.engine import open_engine


def main(
    task: PathOption, clean: PathOption, filtered: PathOption, models: PathOption,
    out: PathOption, metrics: PathOption, plot: PathOption,
) -> None:  # fmt: skip
    """Write the adapted prompt and the tree of its search."""
    settings, definition = params.load(), load_task(task / "task.yaml")
    search, names = settings.prompt, definition.label_names
    examples = balanced(load_examples(task / "shots.jsonl", names), search.shots)
    shots = with_texts(examples, clean, settings.clean.max_characters)
    texts = read_table(filtered / "articles", FILTERED)["text"]
    engine = open_engine(
        settings.label.engine,
        models / "teacher",
        text_tokens=settings.label.article_tokens,
        batch_size=settings.label.batch_size,
    )
    adapted, nodes = adapt(
        definition,
        engine.score,
        shots=[
            Shot(text, names.index(label)) for text, label in shots.select("text", "label").rows()
        ],
        unlabelled=texts[
            sample(texts.to_list(), max(search.calibration.articles, search.unlabelled))
        ].to_list(),
        search_articles=search.unlabelled,
        mutual_information_weight=search.mutual_information_weight,
        budget=search.budget,
        beam=search.beam,
        calibration=search.calibration,
        teacher_layers=engine.layers,
        tells_apart=engine.tells_apart,
        chats=engine.chats,
        seed=settings.seed,
    )
    if engine.ledger is not None:
        console.say(f"teacher: {engine.ledger.spent()}")
    store.save(adapted, out)
    write_json_lines(out / "tree.jsonl", tree_rows(nodes))
    write_json(metrics, summary(adapted, nodes))
    write_csv(plot, search_curve(nodes))


if __name__ == "__main__":
    console.run(main)
