"""Train a network of another kind that others imitate (recipes with teacher: own)."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def teacher(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Train a network of another kind that others imitate (recipes with teacher: own).

    One for all seeds, by teacher.seed; left out where the parameters name none. Writes models/teacher/SEED/ and
    metrics/teacher/SEED.csv; its validation accuracy is told, but chooses nothing.
    """
    from prunefront.methods.teacher import teacher as method
    from prunefront.pipeline.stage import run_method

    run_method("teacher", lambda r: method(r.start, r.trainer, r.settings), params, seed)


if __name__ == "__main__":
    run(teacher)
