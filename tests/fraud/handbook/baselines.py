"""The Handbook's 15 inputs and its three classifiers, as the book defines them."""

import numpy as np
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.fraud.handbook.protocol import DAY, WEEK, Payments, Split

WINDOWS = (1, 7, 30)  # days
NAMES = ("logistic_regression", "random_forest", "xgboost")
Settings = dict[str, dict[str, float | int]]

# Single split: each library's defaults, as in chapter 3. Folds: chosen on the folds that train
# from 2018-06-20, 06-27, 07-04 and 07-11 by average precision, in the grid of chapter 5.
DEFAULTS: Settings = {
    "logistic_regression": {"C": 1.0},
    "random_forest": {"n_estimators": 100},
    "xgboost": {"n_estimators": 100, "max_depth": 6, "learning_rate": 0.3},
}
CHOSEN: Settings = {
    "logistic_regression": {"C": 10.0},
    "random_forest": {"n_estimators": 100, "max_depth": 20},
    "xgboost": {"n_estimators": 50, "max_depth": 3, "learning_rate": 0.3},
}


class Rolling:
    """Sums over (t - length - behind, t - behind] by one key, the current payment included."""

    def __init__(self, key: np.ndarray, second: np.ndarray) -> None:
        self._order = np.lexsort((np.arange(len(key)), second, key))
        self._base = key[self._order] << 32
        self._second = second[self._order]
        self._moment = self._base + self._second

    def _edge(self, back: int) -> np.ndarray:
        """Return, in key order, how many rows lie at or before `back` seconds ago."""
        if back == 0:
            return np.arange(1, len(self._moment) + 1)
        before = self._base + np.maximum(self._second - back, 0)
        return np.searchsorted(self._moment, before, side="right")

    def sum(self, value: np.ndarray, length: int, behind: int = 0) -> np.ndarray:
        """Return the sum of `value` per row; `length` and `behind` in seconds."""
        total = np.concatenate([[0.0], np.cumsum(value[self._order])])
        answer = np.empty(len(value))
        answer[self._order] = total[self._edge(behind)] - total[self._edge(behind + length)]
        return answer


def handbook_inputs(payments: Payments) -> np.ndarray:
    """Return the (rows, 15) inputs of chapter 3's feature transformation."""
    ones = np.ones(len(payments))
    weekday = (payments.day + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    hour = payments.second % DAY // 3_600
    columns = [payments.amount, weekday >= 5, hour <= 6]
    card = Rolling(payments.customer, payments.second)
    terminal = Rolling(payments.terminal, payments.second)
    for days in WINDOWS:
        count = card.sum(ones, days * DAY)
        columns += [count, card.sum(payments.amount, days * DAY) / count]
    for days in WINDOWS:
        count = terminal.sum(ones, days * DAY, behind=WEEK * DAY)
        frauds = terminal.sum(payments.fraud.astype(float), days * DAY, behind=WEEK * DAY)
        columns += [count, np.where(count > 0, frauds / np.maximum(count, 1), 0.0)]
    return np.column_stack(columns).astype(np.float64)


def classifier(name: str, settings: Settings) -> object:
    """Return the untrained classifier of the book.

    base_score and the exact trees were XGBoost's defaults when the figures were published.
    """
    if name == "logistic_regression":
        return LogisticRegression(random_state=0, **settings[name])
    if name == "random_forest":
        return RandomForestClassifier(random_state=0, n_jobs=2, **settings[name])
    return xgboost.XGBClassifier(
        random_state=0, n_jobs=2, base_score=0.5, tree_method="exact", **settings[name]
    )


def score_baseline(
    name: str, inputs: np.ndarray, fraud: np.ndarray, fold: Split, settings: Settings
) -> np.ndarray:
    """Train on the fold's seven days, scaled as in the book; return the test rows' scores."""
    scaler = StandardScaler().fit(inputs[fold.train])
    model = classifier(name, settings)
    model.fit(scaler.transform(inputs[fold.train]), fraud[fold.train].astype(int))
    return model.predict_proba(scaler.transform(inputs[fold.test]))[:, 1]
