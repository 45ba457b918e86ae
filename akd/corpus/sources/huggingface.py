"""Articles of data sets of the Hugging Face hub, and of such data sets on disk."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from akd.corpus.sources import arrow
from akd.corpus.sources.location import below
from akd.corpus.sources.row import Row
from akd.corpus.sources.table import Table
from akd.errors import InputError
from akd.hub import network_failures
from akd.specs.sources import HuggingFaceSource


def read(source: HuggingFaceSource, folder: Path) -> Iterator[Row]:
    """Yield the rows of one split, without loading the others or the whole of it.

    `source.dataset` is a folder below `folder` (of data files, or written by `save_to_disk`), for
    which no network is used; or else owner/name of a data set of the hub. No code of a data set
    is ever run.

    Raises:
        InputError: if the data set cannot be had or read to its end, has no such split or
            configuration or no rows, or a column that the task names is missing or no text.
    """
    splits = _load(source, folder)
    if source.split not in splits:
        raise InputError(
            f"data set {source.dataset} has no split {source.split!r} (it has "
            f"{', '.join(splits)}): correct `split` of the source {source.name!r}"
        )
    table = Table(source, name=f"data set {source.dataset}", place=source.dataset)
    batches = _batches(splits[source.split], table, source)
    yield from table.filled(arrow.rows(batches, table))


def _load(source: HuggingFaceSource, folder: Path) -> Mapping[str, Any]:
    """Return the splits by name, each a data set whose rows are not read yet."""
    import datasets  # slow to import, and most tasks have no such source

    local = below(folder, source.dataset).resolve()
    if not local.is_dir() and (local.exists() or source.dataset.count("/") != 1):
        raise InputError(
            f"{source.dataset!r} is neither a folder in {folder} nor owner/name of a data set of "
            f"the hub: correct `dataset` of the source {source.name!r}"
        )
    try:
        if (local / "state.json").exists() or (local / "dataset_dict.json").exists():
            return _load_saved(source, local)
        # The prefix keeps a folder of that name, wherever akd is run, from being taken instead.
        place = str(local) if local.is_dir() else f"hf://datasets/{source.dataset}"
        revision = None if local.is_dir() else source.revision
        splits: Mapping[str, Any] = datasets.load_dataset(
            place, source.config or None, revision=revision, streaming=True
        )
    except _failures() as error:
        raise _refused(source, error) from None
    return splits


def _load_saved(source: HuggingFaceSource, local: Path) -> Mapping[str, Any]:
    import datasets

    if source.config:
        raise InputError(
            f"data set {source.dataset} was written by save_to_disk and has no configurations: "
            f"take `config` out of the source {source.name!r}"
        )
    saved = datasets.load_from_disk(str(local))
    if isinstance(saved, datasets.DatasetDict):
        return dict(saved)
    # A data set that was saved alone may not know which split it is.
    return {str(saved.split or source.split): saved}


def _batches(dataset: Any, table: Table, source: HuggingFaceSource) -> Iterator[Any]:
    try:
        for batch in dataset.with_format("arrow").iter(batch_size=arrow.ROWS_PER_BATCH):
            table.check(batch.column_names)
            yield batch
    except _failures() as error:
        raise _refused(source, error) from None


def _failures() -> tuple[type[Exception], ...]:
    """Return what `datasets` and the readers below it raise for data that they cannot have."""
    from datasets.exceptions import DatasetsError

    of_the_data = (OSError, ValueError, LookupError, RuntimeError, StopIteration, DatasetsError)
    return *network_failures(), *of_the_data


def _refused(source: HuggingFaceSource, error: Exception) -> InputError:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import RepositoryNotFoundError

    if isinstance(error, DatasetNotFoundError | RepositoryNotFoundError):
        advice = (
            "check `dataset` and `revision`; for a gated or private one accept its terms on the "
            "hub and run `hf auth login`"
        )
    elif isinstance(error, network_failures()):
        advice = "check the network, or put a copy of it into the task's folder `articles`"
    else:
        advice = "check `dataset`, `config` and `revision`, and that its files are whole"
    if isinstance(error, StopIteration):  # out of `datasets`, which looks at the first row
        reason = "one of its files is empty"
    else:
        reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(
        f"data set {source.dataset} of the source {source.name!r} cannot be read ({reason}): "
        f"{advice}"
    )
