"""What a stage's results were made with, written beside them: later commands can tell whether that still holds.

The provenance of `metrics/masked/0.csv` is `metrics/masked/0.provenance.json`. It names what DVC watches for the stage
(`dvc.yaml`), but is there for stages that are run by hand as well.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from prunefront.common.errors import InputError
from prunefront.common.files import digest, read_json, write_json
from prunefront.common.params import STAGES, Params
from prunefront.common.sections import NO_FILE

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Provenance(BaseModel):
    """What results were made with.

    Attributes:
        params: the parameters that they depend on, by their dotted names.
        files: digests of the user's files, by the names of the parameters that name them.
        data: the digest of the prepared splits.
        starts: digests of the weights of other stages that were read, by their paths.
        results: digests of the files that the stage wrote, by their paths.
        warnings: what was said of the results when they were made, a line each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    params: dict[str, Any]
    files: dict[str, Digest]
    data: Digest
    starts: dict[str, Digest]
    results: dict[str, Digest]
    warnings: list[str]


def provenance_file(results: Path) -> Path:
    """Where the provenance of results lies: beside their first file."""
    return results.with_suffix(".provenance.json")


def write_provenance(
    stage: str,
    params: Params,
    data: Path,
    results: Sequence[Path],
    starts: Mapping[str, str] | None = None,
    warnings: Iterable[str] = (),
) -> None:
    """Writes what results were made with beside the first of them.

    Args:
        stage: its name.
        params: the parameters of the run.
        data: the folder of prepared splits.
        results: the files that the stage has written.
        starts, warnings: see `Provenance`.
    """
    noted = Provenance(
        params=relevant(params, stage),
        files=_files(params, stage),
        data=tree_digest(data),
        starts=dict(starts or {}),
        results={path.as_posix(): digest(path) for path in results},
        warnings=list(warnings),
    )
    write_json(provenance_file(results[0]), noted.model_dump())


def read_provenance(results: Path, again: str) -> Provenance:
    """The provenance of results, by their first file.

    Args:
        results: that file.
        again: the command that makes them anew, for errors.

    Raises:
        InputError: there is none, or a damaged one.
    """
    path = provenance_file(results)
    if not path.is_file():
        raise InputError(f"Expected {path}, which says what {results} was made with; {again}. Received: no such file")
    return read_json(path, Provenance)


def check_provenance(stage: str, params: Params, data: Path, results: Path, again: str) -> Provenance:
    """The provenance of results, after a check that they are of the present parameters, files and data, and unchanged.

    Args:
        stage: its name.
        params: the present parameters.
        data: the folder of prepared splits.
        results: the first file of the results.
        again: the command that makes them anew, for errors.

    Raises:
        InputError: the first thing that is not as it was.
    """
    noted = read_provenance(results, again)
    expected = f"{results}: expected results of the present parameters, files and data; {again}"
    different = _difference(noted.params, relevant(params, stage))
    if different is not None:
        name, was, now = different
        raise InputError(f"{expected}. Received: results made with {name} {was}, which is {now} now")
    files = _files(params, stage)
    for name in dict.fromkeys([*noted.files, *files]):
        if noted.files.get(name) != files.get(name):
            raise InputError(f"{expected}. Received: results made with other content of {name}")
    if noted.data != tree_digest(data):
        raise InputError(f"{expected}. Received: results made with other data than those in {data}")
    for name, was in noted.results.items():
        now = digest(Path(name)) if Path(name).is_file() else "no such file"
        if now != was:
            raise InputError(
                f"{name}: expected the file that {stage} wrote, with SHA-256 {was}; {again}. Received: {now}"
            )
    return noted


def relevant(params: Params, stage: str) -> dict[str, Any]:
    """The parameters that a stage's results depend on, by their dotted names, as `dvc.yaml` lists them."""
    content = params.model_dump(mode="json")
    return {name: _at(content, name) for name in _names(params, stage)}


def tree_digest(path: Path) -> str:
    """The SHA-256 of a file, or of all files in a folder with their names; hidden ones and caches of Python aside."""
    if path.is_file():
        return digest(path)
    content = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            state = file.stat()
            content.update(f"{name.as_posix()}\0{_digest(file.resolve(), state.st_size, state.st_mtime_ns)}\n".encode())
    return content.hexdigest()


@functools.cache
def _digest(path: Path, size: int, time: int) -> str:  # noqa: ARG001
    """Read once in a process while size and time stay the same: data may be large, and each seed asks."""
    return digest(path)


def _names(params: Params, stage: str) -> list[str]:
    if stage == "prepare":  # all are checked there, these count for what it writes
        return ["data", "model"]
    names = ["precision"] * (stage != "export")  # which is in float32 whatever it was trained in
    names += ["runtime.portable", "runtime.threads"]
    if stage != "teacher":
        names += ["prune.biases", "prune.include", "prune.exclude", "model"]
    names = [name for name in names if name.partition(".")[0] in Params.model_fields]
    if stage == "pareto":
        return [*names, "seeds", "pareto"]
    section = STAGES[stage].section if stage in STAGES else stage
    recipe = getattr(params.section(stage), "recipe", None)
    floor = stage in STAGES and recipe is not None and stage != "small_dense"
    names = [name for name in names if name.partition(".")[0] != section]  # where it is the section itself
    names += [section, *["prune.floor"] * floor]
    if recipe is not None:
        names += [f"recipes.{recipe}", *["seeds"] * params.recipes[recipe].needs_all_seeds]
    return names


def _files(params: Params, stage: str) -> dict[str, str]:
    """Digests of the user's files that a stage reads, by the names of their parameters."""
    network = params.teacher if stage == "teacher" and params.teacher is not None else params.model
    name = "teacher" if network is params.teacher else "model"
    paths = {f"{name}.path": network.path, f"{name}.code": network.code}
    if stage in ("prepare", "teacher", "baseline"):
        paths[f"{name}.weights"] = network.weights
    if stage == "prepare":
        paths["data.path"] = params.data.path
    return {name: tree_digest(path) for name, path in paths.items() if path != NO_FILE and path.exists()}


def _at(content: Any, name: str) -> Any:
    for part in name.split(".", 1) if name.startswith("recipes.") else name.split("."):
        content = content[part]
    return content


def _difference(was: Any, now: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The first value that differs, as (its dotted name, what it was, what it is)."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return None if was == now else (name, was, now)
    found = (
        _difference(was.get(key, "absent"), now.get(key, "absent"), f"{name}.{key}" if name else key)
        for key in dict.fromkeys([*was, *now])
    )
    return next((one for one in found if one is not None), None)
