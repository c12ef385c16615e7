"""Failures of Microsoft's PdM machines: python -m tests.benchmarks.maintenance_azure

What the data support. The cohort file holds machines 1 to 20 without gaps for 90 days: base rates,
calibration, concordance and false alarms are measured there alone. The windows file holds telemetry
around the failures of all 100 machines: how many of many failures are warned of is measured there.
It says nothing about time without failures, so its rows within 36 h of a failure are learned from
beside the cohort's other rows, which weigh five times as much (100 machines to 20): a case-cohort
design, Prentice, Biometrika 73 (1986). Its other windows, chosen nobody knows how, are left out,
and so are features that need a longer past than a window.

Every machine is predicted by models that saw other machines alone, before the split. Warnings of
all models are compared at the same rate of false alarms.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from tests.benchmarks.azure.models import MODELS, predictions
from tests.benchmarks.azure.rows import read
from tests.benchmarks.azure.scoring import TARGET, measured
from tests.benchmarks.result import print_result


def main() -> None:
    """Read, predict by folds, print the table and the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of PdM_*.parquet")
    parser.add_argument("--split", default="2015-02-20", help="learn before, predict after")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    data = read(options.data, options.split)
    print(data.summary)
    predicted = predictions(data, options.seed)
    result = {
        name: measured(data, predicted.curves[name], predicted.scores[name]) for name in MODELS
    }
    keys = ("c_td", "ibs", "ece_24h", "ece_7d", "warned_24h", "false_alarms_per_machine_month")
    print(f"warnings at up to {TARGET} false alarms per machine-month; 95% by machines in brackets")
    print("model".ljust(20) + "".join(key[:16].rjust(24) for key in keys))
    for name, values in result.items():
        cells = [
            f"{values[key]:.4f} ({values[f'{key}_low']:.3f}-{values[f'{key}_high']:.3f})"
            for key in keys
        ]
        print(name.ljust(20) + "".join(cell.rjust(24) for cell in cells))
    print_result(
        data.rows_read,
        time.perf_counter() - start,
        weight_of_deep=[round(weight, 3) for weight in predicted.weights],
        **{name: {key: round(value, 4) for key, value in v.items()} for name, v in result.items()},
        **paired(data, predicted),
    )


def paired(data, predicted) -> dict[str, dict[str, float]]:
    """How much the blend's IBS is below others', with its interval by machines."""
    from tests.benchmarks.azure.scoring import ibs_difference  # noqa: PLC0415

    gains = {}
    for other in ("cox", "deep", "blend_60_40", "kaplan_meier", "gradient_boosting"):
        gain = ibs_difference(data, predicted.curves[other], predicted.curves["blend"])
        gains[f"ibs_{other}_minus_blend"] = {
            "value": round(gain.value, 5),
            "low": round(gain.low, 5),
            "high": round(gain.high, 5),
        }
        print(
            f"IBS of {other} less the blend's: {gain.value:.5f} ({gain.low:.5f} to {gain.high:.5f})"
        )
    return gains


if __name__ == "__main__":
    main()
