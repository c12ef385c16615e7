"""Evidently's and NannyML's defaults on given windows; runs in an environment that has them.

Reads `reference.parquet` and `windows.parquet` (column `window`, from 0) of a folder, and prints as
JSON which columns each tool calls drifted in which window.
"""

import json
import os
import sys
import warnings
from pathlib import Path

import pandas as pd


def evidently(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> dict[str, list[bool]]:
    """Tests that `DataDriftPreset` chooses by itself, with its thresholds."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    alarms: dict[str, list[bool]] = {name: [] for name in reference.columns}
    for rows in windows:
        snapshot = Report([DataDriftPreset()]).run(rows, reference)
        for name, drifted in _flags(snapshot.dict()).items():
            alarms[name].append(drifted)
    return alarms


def _flags(content: dict) -> dict[str, bool]:
    flags = {}
    for metric in content["metrics"]:
        config = metric.get("config", {})
        if "column" in config and "threshold" in config and "method" in config:
            value, method = float(metric["value"]), str(config["method"])
            below = "p_value" in method
            threshold = float(config["threshold"])
            flags[config["column"]] = value < threshold if below else value >= threshold
    return flags


def nannyml(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> dict[str, list[bool]]:
    """Univariate drift with its default methods and thresholds, a chunk a window."""
    import nannyml as nml

    alarms: dict[str, list[bool]] = {name: [] for name in reference.columns if name != "window"}
    names = list(alarms)
    texts = [name for name in names if reference[name].dtype == object]
    stamps = pd.Timestamp("2020-01-06")
    for frame in (reference, *windows):
        frame["stamp"] = stamps + pd.to_timedelta(frame["window"], unit="D")
    calculator = nml.UnivariateDriftCalculator(
        column_names=names,
        treat_as_categorical=texts,
        timestamp_column_name="stamp",
        chunk_period="D",
    ).fit(reference)
    frame = calculator.calculate(pd.concat(windows)).filter(period="analysis").to_df()
    for name in names:
        flags = [key for key in frame.columns if key[0] == name and key[-1] == "alert"]
        alerts = frame[flags]
        alarms[name] = alerts.any(axis=1).tolist()
    return alarms


def main() -> None:
    """Both tools, or why one says nothing."""
    warnings.simplefilter("ignore")
    os.environ.update(NML_DISABLE_USAGE_LOGGING="1", DO_NOT_TRACK="1")
    folder = Path(sys.argv[1])
    reference = pd.read_parquet(folder / "reference.parquet")
    rows = pd.read_parquet(folder / "windows.parquet")
    windows = [part.copy() for _, part in rows.groupby("window")]
    plain = reference.drop(columns="window")
    answer: dict[str, object] = {}
    for name, run in (
        ("evidently", lambda: evidently(plain, [part.drop(columns="window") for part in windows])),
        ("nannyml", lambda: nannyml(reference, windows)),
    ):
        try:
            answer[name] = run()
        except Exception as error:  # what a tool cannot compute is told, not hidden
            answer[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
