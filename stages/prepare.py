"""Check the parameters, read the data and split them once for all other stages."""

from prunefront.common.commands import PARAMS, ParamsOption, run


def prepare(params: ParamsOption = PARAMS) -> None:
    """Check the parameters, read the data and split them once for all other stages.

    Writes data/prepared/ (training, validation and test arrays) and metrics/prepare.json (their sizes).
    """
    import warnings
    from pathlib import Path

    from prunefront.common.files import write_json
    from prunefront.common.params import load_params
    from prunefront.data.splits import SPLITS, check_images
    from prunefront.sources.read import load
    from prunefront.sources.splits import write_prepared

    settings = load_params(params)
    dataset = load(settings.data)
    if settings.model.built_in:
        check_images(dataset.train.x.shape[1:])
    elif settings.model.unwatched:
        warnings.warn("model.code is inputs/none: DVC will not notice a change in the builder's code", stacklevel=1)
    write_prepared(dataset)
    sizes = {name: len(getattr(dataset, name).y) for name in SPLITS}
    write_json(Path("metrics/prepare.json"), {"classes": len(dataset.class_names), **sizes})
    print(f"prepared {dataset.train.x.shape[1:]} examples of {len(dataset.class_names)} classes: {sizes}")


if __name__ == "__main__":
    run(prepare)
