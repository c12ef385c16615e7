"""NannyML's CBPE on scored windows; runs in an environment of its own, without this project.

`python nannyml_program.py TASKS`: TASKS is a JSON list of objects with `reference` and `window`,
Parquet files of the columns score, label. Prints a JSON list: `roc_auc` and its `standard_error`
of each window, in the order of the tasks, and last the version of NannyML.
"""

import json
import os
import sys
import warnings
from pathlib import Path


def main(path: str) -> None:
    warnings.filterwarnings("ignore")
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml  # noqa: PLC0415  of the other environment
    import pandas as pd  # noqa: PLC0415

    tasks = json.loads(Path(path).read_text())
    answers, fitted, estimator = [], None, None
    for task in tasks:
        if task["reference"] != fitted:
            fitted = task["reference"]
            estimator = nannyml.CBPE(
                metrics=["roc_auc"],
                y_pred_proba="score",
                y_pred="predicted",
                y_true="label",
                problem_type="classification_binary",
                chunk_number=10,
            )
            estimator.fit(read(pd, fitted))
        window = read(pd, task["window"]).drop(columns="label")
        estimator.chunker = nannyml.chunk.CountBasedChunker(chunk_number=1)
        result = estimator.estimate(window)
        table = result.filter(period="analysis").to_df()["roc_auc"]
        answers.append(
            {
                "roc_auc": float(table["value"].iloc[-1]),
                "standard_error": float(table["sampling_error"].iloc[-1]),
            }
        )
        print(f"nannyml: {len(answers)} of {len(tasks)}", file=sys.stderr, flush=True)
    print(json.dumps({"version": nannyml.__version__, "answers": answers}))


def read(pd, path: str):
    table = pd.read_parquet(path)
    table["predicted"] = (table["score"] >= 0.5).astype(int)
    table["label"] = table["label"].astype(int)
    return table


if __name__ == "__main__":
    main(sys.argv[1])
