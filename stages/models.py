"""models: teacher and student of the active pair as folders, and the empty first adapter."""

from akd import console, params
from akd.console import PathOption
from akd.io import replacing, write_json
from akd.models import adapters
from akd.models.architecture import describe
from akd.models.resolve import resolve


def main(out: PathOption, adapter: PathOption, metrics: PathOption) -> None:
    """Resolve the pair into `out`/teacher and `out`/student."""
    settings = params.load()
    pair = settings.pairs[settings.pair]
    resolve(pair.teacher, out / "teacher")
    resolve(pair.student, out / "student", teacher=out / "teacher")
    with replacing(adapter) as aside:
        adapters.write_empty(aside)
    write_json(metrics, {role: describe(out / role) for role in ("teacher", "student")})


if __name__ == "__main__":
    console.run(main)
