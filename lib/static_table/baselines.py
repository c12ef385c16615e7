"""What a model of a table has to beat, on the same rows."""

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.static_table.attributes import Attribute, AttributeSet

Floats = npt.NDArray[np.float64]
_MOST_COLUMNS = 200
"""Most frequent values of a category that get a column of their own."""


def logistic_probabilities(
    inputs: AttributeSet, train: Floats, labels: Floats, test: Floats
) -> Floats:
    """Probabilities (test rows,) of a logistic regression, one column for each category.

    Args:
        inputs: the attributes.
        train: (rows, attributes), encoded; missing numbers are set to the median and marked.
        labels: (rows,) 0/1 of them.
        test: (rows, attributes), encoded.
    """
    usual = np.array([_median(train[:, k]) for k in range(train.shape[1])])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(_columns(inputs, train, usual), labels)
    return np.asarray(model.predict_proba(_columns(inputs, test, usual))[:, 1])


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else 0.0


def _columns(inputs: AttributeSet, matrix: Floats, usual: Floats) -> Floats:
    parts = [
        _of_attribute(attribute, matrix[:, k], float(usual[k]))
        for k, attribute in enumerate(inputs.attributes)
    ]
    return np.concatenate(parts, axis=1)


def _of_attribute(attribute: Attribute, values: Floats, usual: float) -> Floats:
    missing = np.isnan(values)
    if attribute.type == "category":
        codes = range(1, min(len(attribute.values), _MOST_COLUMNS) + 1)
        return np.column_stack([missing, *(values == code for code in codes)]).astype(np.float64)
    return np.column_stack([np.where(missing, usual, values), missing.astype(np.float64)])
