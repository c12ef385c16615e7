"""Tables without times whose label follows a known law."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Columns = dict[str, Sequence[object]]

CUSTOMERS_YAML = """
contract: rows
columns:
  row_id: {from: customerID}
  label: {from: Churn, values: {"Yes": "true", "No": "false"}}
attributes:
  contract: {from: Contract, type: category, words: kind of contract}
  tenure: {from: tenure, type: number, unit: months, words: months since the contract began}
  charges: {from: MonthlyCharges, type: number, words: monthly charges}
  total: {from: TotalCharges, type: number, missing: [" "]}
  payment: {from: PaymentMethod, type: category}
  support: {from: TechSupport, type: category}
  senior: {from: SeniorCitizen, type: flag}
"""
MODES = ("TWF", "HDF", "PWF", "OSF", "RNF")


def customers(rows: int, seed: int) -> tuple[Columns, Floats]:
    """A table of customers in the shape of a telephone company's, and the log-odds of its law."""
    rng = np.random.default_rng(seed)
    contract = rng.choice(["Month-to-month", "One year", "Two year"], rows, p=[0.55, 0.21, 0.24])
    tenure = rng.gamma(1.2, 22, rows).clip(0, 72).round()
    internet = rng.choice(["DSL", "Fiber optic", "No"], rows, p=[0.34, 0.44, 0.22])
    support = np.where(
        internet == "No", "No internet service", np.where(rng.random(rows) < 0.4, "Yes", "No")
    )
    payment = rng.choice(["Electronic check", "Mailed check", "Credit card"], rows)
    senior = (rng.random(rows) < 0.16).astype(int)
    charges = (20 + 30 * (internet != "No") + 25 * (internet == "Fiber optic")) + rng.normal(
        0, 4, rows
    )
    law = (
        -0.9
        + 1.5 * (contract == "Month-to-month")
        - 1.2 * (contract == "Two year")
        - 0.05 * tenure
        + 0.02 * (charges - 60)
        - 0.6 * (support == "Yes")
        + 0.4 * senior
    )
    churned = rng.random(rows) < 1 / (1 + np.exp(-law))
    total = [f"{c * t:.2f}" if t else " " for c, t in zip(charges, tenure, strict=True)]
    columns: Columns = {
        "customerID": [f"{k:04d}-{k * 7919 % 99991:05d}X" for k in range(rows)],
        "gender": rng.choice(["Female", "Male"], rows).tolist(),
        "SeniorCitizen": senior.tolist(),
        "Partner": rng.choice(["Yes", "No"], rows).tolist(),
        "tenure": tenure.astype(int).tolist(),
        "PhoneService": np.where(rng.random(rows) < 0.9, "Yes", "No").tolist(),
        "InternetService": internet.tolist(),
        "TechSupport": support.tolist(),
        "Contract": contract.tolist(),
        "PaymentMethod": payment.tolist(),
        "MonthlyCharges": charges.round(2).tolist(),
        "TotalCharges": total,
        "Churn": np.where(churned, "Yes", "No").tolist(),
    }
    return columns, law


def machines(rows: int, seed: int) -> Columns:
    """A table of mills that fail by heat, power, strain and wear; 3 to 4% of them do."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["L", "M", "H"], rows, p=[0.6, 0.3, 0.1])
    air = rng.normal(300, 2, rows).round(1)
    process = (air + 10 + rng.normal(0, 1, rows)).round(1)
    torque = rng.normal(40, 10, rows).clip(4).round(1)
    speed = (1538 + 16 * (40 - torque) + rng.normal(0, 70, rows)).clip(1168).round()
    wear = rng.integers(0, 253, rows)
    limit = np.select([kind == "L", kind == "M"], [12_500.0, 13_500.0], 14_500.0)
    flags = {
        "TWF": (wear >= 200) & (rng.random(rows) < 0.03),
        "HDF": (process - air < 8.3) & (speed < 1440),
        "PWF": (torque * speed > 88_000) | (torque * speed < 27_000),
        "OSF": wear * torque > limit,
        "RNF": rng.random(rows) < 0.002,
    }
    failed = flags["TWF"] | flags["HDF"] | flags["PWF"] | flags["OSF"]
    return {
        "UDI": list(range(1, rows + 1)),
        "Product ID": [f"{k}{14_860 + n}" for n, k in enumerate(kind)],
        "Type": kind.tolist(),
        "Air temperature [K]": air.tolist(),
        "Process temperature [K]": process.tolist(),
        "Rotational speed [rpm]": speed.astype(int).tolist(),
        "Torque [Nm]": torque.tolist(),
        "Tool wear [min]": wear.tolist(),
        "Machine failure": failed.astype(int).tolist(),
        **{name: flag.astype(int).tolist() for name, flag in flags.items()},
    }


def write_csv(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """A CSV file with a header."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path
