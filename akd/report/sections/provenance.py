"""What the run cost and what it was made of: resources, parameters, hashes, every figure."""

from collections.abc import Mapping

from akd.report import words
from akd.report.blocks import Section, Table
from akd.report.load import Run
from akd.report.record import Hashed, flat


def resources(run: Run) -> Section | None:
    """Return speed, memory and size, and the sizes of the models."""
    measured = flat(run.metrics.get("resources", {}))
    found = {words.named(name): value for name, value in measured}
    if not found:
        return None
    tables = [_pairs("Measured on the machine of the run", "resource", found)]
    sizes = run.metrics.get("models", {})
    if sizes:
        columns = tuple(dict.fromkeys(key for size in sizes.values() for key in size))
        body = tuple(
            (name, *(words.value(size.get(key, "")) for key in columns))
            for name, size in sizes.items()
        )
        tables.append(Table("The models", ("model", *map(words.named, columns)), body))
    shares = {
        name: found["trainable_share"]
        for name, found in run.metrics.items()
        if "trainable_share" in found and name != "resources"  # of the final phase, once more
    }
    if shares:
        body = tuple((phase, words.percent(share)) for phase, share in shares.items())
        columns = ("phase", "share of the student's parameters")
        tables.append(Table("What is trained", columns, body))
    lead = "These figures depend on the machine and differ from run to run."
    return Section("resources", "Resources", lead, tuple(tables))


def run_record(run: Run) -> Section:
    """Return parameters and hashes, and every figure of every metrics file."""
    record = run.record
    lead = "The parameters that the stages read and the MD5 hashes of what they wrote (dvc.lock)."
    tables = []
    if not record.parameters:
        lead = "There is no dvc.lock: these are the parameters of params.yaml."
    if record.changed:
        lead += " Since the run params.yaml was changed: the figures above are not of its values."
        body = tuple(
            (name, *(words.value(side.get(name, "")) for side in (record.parameters, record.now)))
            for name in record.changed
        )
        tables.append(Table("Changed since the run", ("parameter", "in the run", "now"), body))
    every = {
        f"{file}: {name}": value
        for file, found in run.metrics.items()
        for name, value in flat(found)
    }
    folded = [
        _pairs("Parameters", "parameter", dict(sorted((record.parameters or record.now).items())))
    ]
    if record.written:
        folded.append(_hashes("What the stages wrote", record.written))
    if record.tasks:
        folded.append(_hashes("What the task brought", record.tasks))
    folded.append(_pairs("Every figure of metrics/", "figure", every))
    return Section("run", "Parameters and hashes", lead, tuple(tables), folded=tuple(folded))


def _pairs(caption: str, name: str, found: Mapping[str, object]) -> Table:
    body = tuple((key, words.value(value)) for key, value in found.items())
    return Table(caption, (name, "value"), body)


def _hashes(caption: str, found: tuple[Hashed, ...]) -> Table:
    body = tuple((one.path, one.stage, words.size(one.size), one.md5) for one in found)
    return Table(caption, ("path", "stage", "size", "MD5"), body)
