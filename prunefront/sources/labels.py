"""Labels in the forms that people keep them in, made into numbers of classes from 0."""

from collections.abc import Mapping

import numpy as np

from prunefront.common.errors import InputError

RENUMBER = "numpy.unique(y, return_inverse=True)[1] numbers them from 0 without gaps"


def number_classes(
    labels: Mapping[str, np.ndarray], class_names: np.ndarray | None
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The classes of all splits as numbers, and the name of each class.

    Args:
        labels: for each array, named as in errors, the training split's first: integers, whole floats, yes and no or
            text, shape (n,) or (n, 1); or one-hot rows, shape (n, classes).
        class_names: shape (classes,), text or numbers; None for those that the labels give: their own text, in the
            order of the alphabet, or their numbers.

    Returns:
        int64 arrays of shape (n,) under the same names, and the names.

    Raises:
        InputError: labels that are no classes, or are not numbered from 0; names that are no text.
    """
    columns = {where: y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y for where, y in labels.items()}
    first = next(iter(columns.values()))
    names = None if class_names is None else _texts(class_names, "class_names")
    if first.dtype.kind in "US" and first.ndim == 1:
        names = names or sorted(set(_texts(first, next(iter(columns)))))
        return {where: _named(y, names, where) for where, y in columns.items()}, names
    numbers = {where: _numbered(y, where) for where, y in columns.items()}
    if names is None:
        most = max(int(y.max(initial=-1)) for y in numbers.values())
        classes = max(first.shape[1] if first.ndim == 2 else 0, 1 + most)  # one-hot rows name all classes
        if classes > len(first):
            raise InputError(
                f"{next(iter(columns))}: expected labels numbered from 0, each with a training example; {RENUMBER}, "
                f"and amounts are no classes. Received: a label {classes - 1} and {len(first)} training examples"
            )
        names = [str(label) for label in range(classes)]
    return numbers, names


def check_labels(y: np.ndarray, examples: int, where: str) -> None:
    """Raises InputError unless `y` is one integer from 0 per example."""
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise InputError(
            f"{where}: expected one integer label per example, shape (n,). "
            f"Received: labels of shape {y.shape} and dtype {y.dtype}"
        )
    if len(y) != examples:
        raise InputError(f"{where}: expected a label for each of {examples} examples. Received: {len(y)} labels")
    if len(y) and y.max() >= 2**31:
        raise InputError(f"{where}: expected labels below the number of classes. Received: a label {y.max()}")
    if len(y) and y.min() < 0:
        raise InputError(f"{where}: expected labels from 0. Received: a label {y.min()}; {RENUMBER}")


def _numbered(y: np.ndarray, where: str) -> np.ndarray:
    """Labels as int64, shape (n,): from whole numbers, from yes and no, or from one-hot rows."""
    if y.ndim == 2 and y.dtype.kind in "fiub":
        if not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
            raise InputError(
                f"{where}: expected one integer label per example, or one-hot rows with a single 1 in each, since an "
                f"example is of one class. Received: an array of shape {y.shape} and dtype {y.dtype} with other rows"
            )
        return y.argmax(axis=1)
    if y.ndim == 1 and y.dtype.kind == "f":
        fractions = y[y != np.floor(y)]  # NaN is one, infinity is none
        if len(fractions) or not np.isfinite(y).all():
            raise InputError(
                f"{where}: expected one integer label per example, shape (n,): prunefront prunes classifiers, no "
                f"regression. Received: dtype {y.dtype} with values such as {fractions[0] if len(fractions) else 'inf'}"
            )
        if len(y) and np.abs(y).max() >= 2**31:
            raise InputError(
                f"{where}: expected labels below the number of classes. Received: a label {np.abs(y).max():g}"
            )
    if y.ndim == 1 and y.dtype.kind in "fb":
        y = y.astype(np.int64)
    check_labels(y, len(y), where)
    if len(y) and y.min() == 1 and len(np.unique(y)) == y.max():
        raise InputError(
            f"{where}: expected labels from 0. Received: labels from 1 to {y.max()}; subtract 1 in all splits"
        )
    return y.astype(np.int64)


def _named(y: np.ndarray, names: list[str], where: str) -> np.ndarray:
    """Labels that are text as the places of their names."""
    if y.dtype.kind not in "US" or y.ndim != 1:
        raise InputError(
            f"{where}: expected text as in the training split. Received: shape {y.shape} and dtype {y.dtype}"
        )
    place = {name: number for number, name in enumerate(names)}
    texts = _texts(y, where)
    unknown = next((text for text in texts if text not in place), None)
    if unknown is not None:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise InputError(f"{where}: expected names of classes, {shown}. Received: {unknown!r}")
    return np.array([place[text] for text in texts], np.int64)


def _texts(array: np.ndarray, where: str) -> list[str]:
    """An array's values as text; bytes are UTF-8."""
    if array.dtype.kind not in "USiu":
        raise InputError(f"{where}: expected text. Received: dtype {array.dtype}")
    try:
        return [one.decode() if isinstance(one, bytes) else str(one) for one in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: expected text in UTF-8. Received: other bytes ({error.object!r})") from None
