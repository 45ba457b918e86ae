"""relevance: score how relevant each clean article is; what is kept, the filter decides."""

from functools import partial

from akd import console, params
from akd.console import PathOption
from akd.corpus.relevance.keywords import read_keywords
from akd.corpus.relevance.scoring import score_articles
from akd.corpus.sampling import sampled_texts
from akd.io import write_json
from akd.models.relevance import logits_of
from akd.specs.engines import teacher_quantization
from akd.task import load_task


def main(
    task: PathOption, clean: PathOption, keywords: PathOption, models: PathOption,
    out: PathOption, metrics: PathOption,
) -> None:  # fmt: skip
    """Write P(its domain's keywords | text) and P(present or future | text) of each article."""
    settings = params.load()
    limits, domains = settings.filter, read_keywords(keywords)
    tenses = load_task(task).tenses.model_dump()
    logits = partial(
        logits_of,
        reference=sampled_texts(clean, limits.reference_articles),
        settings=limits,
        teacher=models / "teacher",
        quantization=teacher_quantization(settings.label.engine),
        batch_size=settings.label.batch_size,
    )
    articles = score_articles(
        clean,
        out,
        domains=list(domains),
        domain_logits=logits(limits.domain.kind, "domain", domains),
        tenses=list(tenses),
        signal_logits=logits(limits.signal.kind, "signal", tenses),
    )
    write_json(metrics, {"articles": articles, "domains": len(domains)})


if __name__ == "__main__":
    console.run(main)
