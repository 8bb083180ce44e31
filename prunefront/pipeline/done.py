"""Which seeds of a stage are done, so that one more seed, or an interruption, does not train the others again."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from prunefront.common.errors import InputError
from prunefront.common.files import digest, read_json, write_json
from prunefront.common.params import TRAINED, Params
from prunefront.common.provenance import relevant, tree_digest
from prunefront.data.splits import PREPARED
from prunefront.models.build import fingerprint
from prunefront.pipeline.store import done_file, rows_file
from prunefront.training.resume import code_of


class Done(BaseModel):
    """What a seed's results were made from, see `made_from`, and the SHA-256 of each file of theirs."""

    made_from: str
    files: dict[str, str]

    @property
    def names(self) -> set[str]:
        """Of the folders in `models/` and `metrics/` that the files are in."""
        return {Path(name).parts[1] for name in self.files}


def made_from(stage: str, params: Params, seed: int) -> str:
    """A digest of all that a stage's results of a seed follow from, in the order of the pipeline: call it beforehand.

    That is the code that the process has imported, the parameters that the stage reads, the network, the prepared data
    and the results of all stages before this one.
    """
    content = code_of(stage)
    content.update(json.dumps(relevant(params, stage), sort_keys=True).encode())
    content.update(f"{seed} {fingerprint(params.model)} {tree_digest(PREPARED)}".encode())
    earlier = [rows_file(name, seed) for name in TRAINED[1 : TRAINED.index(stage)]]
    taught_by = [rows_file(name, teacher) for name, teacher in params.teachers(stage, seed)]
    for path in [params.model.weights, *earlier, *taught_by]:
        content.update(f"{path} {digest(path) if path.is_file() else ''}".encode())
    return content.hexdigest()


def done_before(stage: str, seed: int, wanted: str) -> Done | None:
    """What was noted of a seed whose results are there as they were written, made from what is wanted; else None."""
    try:
        done = read_json(done_file(stage, seed), Done)
    except InputError:
        return None
    files = {Path(name): sha256 for name, sha256 in done.files.items()}
    whole = all(path.is_file() and digest(path) == sha for path, sha in files.items())
    return done if whole and done.made_from == wanted else None


def note_done(stage: str, seed: int, made: str, folders: Iterable[Path]) -> None:
    """Notes that the results of a seed are complete.

    Args:
        stage, seed: whose they are.
        made: see `made_from`.
        folders: that hold its weights.
    """
    files = [rows_file(stage, seed), *(path for folder in folders for path in sorted(folder.iterdir()))]
    write_json(done_file(stage, seed), Done(made_from=made, files={str(p): digest(p) for p in files}).model_dump())
