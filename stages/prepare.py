"""Check the parameters, read the data and split them once for all other stages."""

from prunefront.common.commands import PARAMS, ParamsOption, run


def prepare(params: ParamsOption = PARAMS) -> None:
    """Check the parameters, read the data and split them once for all other stages.

    A network of your own is tried on a few examples. Writes data/prepared/ (training, validation and test arrays) and
    metrics/prepare.json (their sizes, and how many examples stand in two splits).
    """
    import warnings
    from dataclasses import replace
    from pathlib import Path

    from prunefront.common.errors import InputError
    from prunefront.common.files import write_json
    from prunefront.common.params import load_params
    from prunefront.common.provenance import write_provenance
    from prunefront.data.pixels import range_text
    from prunefront.data.splits import PREPARED, SPLITS, check_images
    from prunefront.sources.read import load
    from prunefront.sources.splits import doubts, write_prepared

    settings = load_params(params)
    dataset = load(settings.data)
    takes, doubtful = dataset.pixel_range, []
    results = Path("metrics/prepare.json")
    if settings.plain:  # known to fit, without importing TensorFlow
        check_images(dataset.train.x.shape[1:])
    else:
        from prunefront.models.first_look import first_look
        from prunefront.models.leakage import SAMPLE, leakage_doubt

        look = first_look(settings, dataset.telling(), len(dataset.class_names))
        for refusal in look.refusals():
            raise InputError(refusal)
        dataset = replace(dataset, pixel_range=look.pixel_range)
        leaking = leakage_doubt(look, *dataset.sample(SAMPLE), dataset.carved)
        takes, doubtful = look.takes, [*look.doubts, *filter(None, [leaking])]
    doubtful += doubts(dataset, takes, settings.pareto.gate)
    for doubt in doubtful:
        warnings.warn(doubt, stacklevel=1)
    write_prepared(dataset)
    sizes = {name: len(getattr(dataset, name).y) for name in SPLITS}
    copies = {f"{name}_copies": len(rows) for name, rows in dataset.copies.items()}
    write_json(results, {"classes": len(dataset.class_names), **sizes, **copies})
    write_provenance("prepare", settings, PREPARED, [results], warnings=doubtful)
    scale = f", scaled to {range_text(dataset.pixel_range)}" if dataset.images and dataset.pixel_range else ""
    print(f"prepared {dataset.train.x.shape[1:]} examples of {len(dataset.class_names)} classes: {sizes}{scale}")


if __name__ == "__main__":
    run(prepare)
