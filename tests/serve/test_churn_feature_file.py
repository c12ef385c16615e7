"""A churn model with a feature file, from files over training to scores, rules and reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.churn import score, train
from jobs.churn.score import ScoreConfig
from jobs.churn.train import TrainConfig
from lib.churn.contracts import CONTRACTS
from lib.churn.model.model import load_model
from lib.monitoring import REFERENCE_FILE
from lib.registry import Registry
from tests.churn.changed_customers import SMALL, sources, write_accounts
from tests.churn.small_model import save
from tests.churn.small_model import trained as plain_model
from tests.churn.tables import day
from tests.conftest import on_two_cores
from tests.serve.churn_app import CREATED_AT, churn, publish_champion
from tests.serve.trained_attributes import Trained, refusal_of

pytestmark = [pytest.mark.anyio, *on_two_cores(minutes=8)]
DAYS = 300
FILE = """# of the customer success team
features:
- {name: invoice_before, unit: currency units, words: what the last invoice came to,
   key: [customer_id], aggregate: latest, of: amount, horizon: 200d}
- {name: invoice_per_seat, unit: currency units, expression: invoice_before / seats}
groups:
  engagement:
  - {name: users_3d, unit: users, key: [customer_id], aggregate: distinct, of: user_id, window: 3d,
     hop: 6h}
  - {name: usage_14d, unit: uses, words: uses of two weeks, key: [customer_id], aggregate: sum,
     of: used, window: 14d, hop: 1d}
"""
NAMES = ("invoice_before", "invoice_per_seat", "users_3d", "usage_14d")
RULES = """
version: 7
rules:
- {id: used_or_not, when: usage_14d >= 0 and invoice_before >= 0, action: CONTACT,
   reason: has invoices, confidence: 0.5, priority: 1, owner: team}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "own.yaml").write_text(FILE)
    options = sources(write_accounts(folder / "plain", days=DAYS))
    changes: dict[str, Any] = {**SMALL, **options, "alias": "champion"}
    changes |= {"feature_file": str(folder / "own.yaml")}
    changes |= {"output": str(folder / "out"), "registry": str(folder / "registry")}
    train.main(TrainConfig(**changes))
    return Trained(options, folder / "out", folder / "registry")


def test_a_trained_model_carries_the_file_and_its_reference(trained: Trained) -> None:
    model = load_model(trained.output / "model")
    assert model.base.feature_file == FILE
    assert model.names[-4:] == NAMES
    reference = (trained.output / "model" / REFERENCE_FILE).read_text()
    assert all(f'"{name}"' in reference for name in NAMES)


def _sent(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a file as a caller sends it."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
        if value is not None
    }


async def test_a_service_scores_as_the_nightly_job(trained: Trained, tmp_path: Path) -> None:
    output = tmp_path / "scores"
    score.main(
        ScoreConfig(
            **trained.options, output=str(output), registry=str(trained.registry), progress="none"
        )
    )
    nightly = {row["customer_id"]: row for row in pq.read_table(output / "data").to_pylist()}
    ids = sorted(nightly)[:4]
    at_us = nightly[ids[0]]["as_of"]
    now = round(at_us.timestamp() * 1e6)
    async with churn(tmp_path / "app", now, registry=str(trained.registry)) as app:
        await app.service.reconfigure({"rules": RULES})
        for contract in CONTRACTS:
            rows = pq.read_table(trained.options[contract.name]).to_pylist()
            before = [
                row for row in rows if row["customer_id"] in ids and row["event_time"] < at_us
            ]
            known = [_sent(row) for row in before if (row.get("known_at") or at_us) <= at_us]
            for start in range(0, len(known), 5_000):
                await app.post("events", {contract.name: known[start : start + 5_000]})
        words = []
        for name in ids:
            answer = await app.post("score", {"customer_id": name})
            decision = await app.service.decision_store.find(answer["prediction_id"])
            computed = np.array([nightly[name][f"feature:{each}"] for each in NAMES], np.float64)
            served = np.array([decision.features[each] for each in NAMES])
            np.testing.assert_array_equal(served, computed)
            assert answer["chance"] == nightly[name]["chance"]
            assert answer["rule_id"] == ("used_or_not" if computed[0] >= 0 else None)
            words += [reason["words"] for reason in answer["reasons"]]
        assert np.isfinite(computed).any()
        assert not any("usage 14d" in each or "invoice before" in each for each in words)


async def test_a_model_of_another_file_is_refused_with_what_to_do(
    trained: Trained, tmp_path: Path
) -> None:
    artifact = save(plain_model(), tmp_path / "model")
    registry = publish_champion(tmp_path, "churn", artifact, CREATED_AT)
    version = Registry(registry).publish(trained.output / "model", "churn")
    async with churn(tmp_path, day(DAYS), registry=str(registry)) as app:
        refusal = await refusal_of(app.service, version)
        assert f"feature file: {', '.join(NAMES)} against none" in refusal
