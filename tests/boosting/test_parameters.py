"""What XGBoost is given by every system."""

import json

import numpy as np
import pytest
import xgboost as xgb

from lib.boosting.parameters import TreeSettings, classification_parameters


@pytest.mark.parametrize(("options", "threads"), [({}, "1"), ({"threads": 2}, "2")])
def test_a_booster_takes_the_threads_that_it_is_allowed(options, threads: str) -> None:
    parameters = classification_parameters(TreeSettings(), seed=1, **options)
    booster = xgb.train(parameters, xgb.DMatrix(np.eye(2), [0, 1], nthread=1), 1)
    context = json.loads(booster.save_config())["learner"]["generic_param"]
    assert context["nthread"] == threads
