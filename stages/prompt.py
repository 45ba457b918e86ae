"""prompt: search the teacher's prompt and calibrate it on shots and unlabelled articles."""

from akd import console, params
from akd.console import PathOption
from akd.io import write_csv, write_json, write_json_lines
from akd.prompts import store, tree
from akd.prompts.adapt import adapt
from akd.prompts.material import read_shots, read_unlabelled
from akd.task import load_task
from akd.teacher.asked import asked
from akd.teacher.engine import open_engine


def main(
    task: PathOption, clean: PathOption, filtered: PathOption, models: PathOption,
    out: PathOption, metrics: PathOption, plots: PathOption,
) -> None:  # fmt: skip
    """Write the adapted prompt and the tree of its search."""
    settings, definition = params.load(), load_task(task / "task.yaml")
    shots = read_shots(task, definition, clean, settings.prompt, settings.clean.max_characters)
    unlabelled = read_unlabelled(filtered, settings.prompt)
    engine = open_engine(
        settings.label.engine,
        models / "teacher",
        text_tokens=settings.label.article_tokens,
        batch_size=settings.label.batch_size,
    )
    found = adapt(
        definition,
        asked(engine, settings.label.article_tokens),
        shots=shots,
        unlabelled=unlabelled,
        settings=settings.prompt,
        pin=settings.prompt.pins.get(task.name),
        seed=settings.seed,
    )
    if engine.ledger is not None:
        console.say(f"teacher: {engine.ledger.spent()}")
    store.save(found.adapted, out)
    write_json_lines(out / "tree.jsonl", tree.tree_rows(found.nodes))
    write_json(metrics, found.summary())
    write_csv(plots / "search.csv", tree.search_curve(found.nodes))
    write_csv(plots / "tree.csv", tree.tree_table(found.nodes))
    for name, node in (("seed", found.nodes[0]), ("best", found.best)):
        table = tree.confusion(node, shots, definition.label_names)
        write_csv(plots / f"confusion_{name}.csv", table)


if __name__ == "__main__":
    console.run(main)
