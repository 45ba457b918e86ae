"""keywords: the keywords of each domain, the task's own and those that are found for it."""

from akd import console, params
from akd.console import PathOption
from akd.corpus.relevance.keywords import expanded, open_domains, write_keywords
from akd.corpus.relevance.mining import mine
from akd.corpus.sampling import sampled_texts
from akd.io import write_json
from akd.specs.engines import teacher_quantization
from akd.task import load_domains


def main(
    domains: PathOption, clean: PathOption, models: PathOption, out: PathOption, metrics: PathOption
) -> None:
    """Write the list with the origin of every keyword; a frozen domain keeps its own."""
    settings = params.load()
    expansion, known = settings.filter.expansion, load_domains(domains)
    seeds, mined, taught = open_domains(known), {}, {}
    if expansion.kind in ("mined", "both") and seeds:
        texts = sampled_texts(clean, expansion.articles)
        mined = mine(texts, seeds, per_domain=expansion.per_domain, words=expansion.words)
    if expansion.kind in ("teacher", "both") and seeds:
        # Here, since what reads no model need not wait for torch.
        from akd.models.completion import complete_keywords
        from akd.models.load import load_teacher

        taught = complete_keywords(
            *load_teacher(models / "teacher", teacher_quantization(settings.label.engine)),
            seeds,
            languages=expansion.languages,
            temperature=expansion.temperature,
            per_domain=expansion.per_domain,
            seed=settings.seed,
        )
    table = expanded(known, mined, taught)
    write_keywords(table, out)
    origins = dict(table.group_by("origin").len().sort("origin").iter_rows())
    write_json(metrics, {"domains": len(known), "keywords": table.height, "origins": origins})


if __name__ == "__main__":
    console.run(main)
