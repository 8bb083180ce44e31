"""What people call the methods; commands and files use the names of the stages."""

from prunefront.common.params import STAGES

METHOD_NAMES = {
    "teacher": "teacher",
    "baseline": "dense network",
    **{stage: known.name for stage, known in STAGES.items()},
}
"""For the teacher, the baseline and each stage of a method its name in pictures and reports."""


def method_name(stage: str) -> str:
    """What people call a stage's method; an unknown stage, as in results of another version, keeps its own name."""
    return METHOD_NAMES.get(stage, stage.replace("_", " "))
