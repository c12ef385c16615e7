"""Machines, customers and posts under an experiment: the arm decides, both models are recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.calibration import sigmoid
from lib.experiment.declaration import Experiment
from lib.experiment.models import ExperimentDecision
from lib.experiment.repository import ExperimentRepository
from lib.moderation.model.inputs import PostInputs
from lib.registry import Registry, TrainingRecord
from tests.churn.small_model import trained as trained_churn
from tests.maintenance import small_fleet as fleet_model
from tests.moderation import small_model
from tests.serve.application import Application, iso
from tests.serve.churn_app import churn, stayers
from tests.serve.churn_app import published as published_churn
from tests.serve.factories import eventually
from tests.serve.maintenance_app import end_of, maintenance, news
from tests.serve.maintenance_app import published as published_maintenance
from tests.serve.moderation_app import moderation, png, sent
from tests.serve.moderation_app import published as published_moderation
from tests.serve.other_moderation_model import other_model

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
LATER = TrainingRecord(1_795_428_901_000_000, "f" * 64, "test", {}, {})
MINUTE = 60_000_000
Ask = Callable[[str], Awaitable[dict[str, Any]]]


async def compared(
    app: Application, names: list[str], ask: Ask, challenger: str
) -> tuple[dict[str, dict[str, Any]], list[ExperimentDecision]]:
    """Answers by entity under an experiment at half the entities, and what was recorded."""
    system = app.system
    registry = Registry(app.service.args.registry)
    declaration = Experiment(
        name="second", system=system, challenger=challenger, mode="ab", share=0.5,
        timeout_ms=10_000.0, guardrails={"fault_share": None},
    ).with_versions(registry.aliases(system))  # fmt: skip
    with ExperimentRepository(app.service.args.records) as repository:
        repository.migrate()
        repository.start(declaration, by="test", at=app.service.parts.clock.now())

        async def ready() -> bool:
            active = app.service.experiments.active
            return active is not None and active.queue.ready

        await eventually(ready, within=120.0)
        answers = {name: await ask(name) for name in names}

        async def recorded() -> bool:
            return len(list(repository.decisions(f"{system}/second"))) == len(names)

        await eventually(recorded, within=60.0, pause=0.2)
        rows = list(repository.decisions(f"{system}/second"))
    return answers, rows


def check(
    answers: dict[str, dict[str, Any]], rows: list[ExperimentDecision], versions: tuple[str, str]
) -> None:
    """Each entity is decided by its arm's model, and both models said something of it."""
    by_entity = {row.entity_id: row for row in rows}
    assert set(by_entity) == set(answers)
    for name, answer in answers.items():
        row = by_entity[name]
        assert answer["model_version"] == versions[row.arm == "challenger"]
        decision = row.challenger_decision if row.arm == "challenger" else row.champion_decision
        assert answer["decision"] == decision
        assert row.fault is None
        assert row.champion_score is not None
        assert row.challenger_score is not None
    assert {row.arm for row in rows} == {"champion", "challenger"}


async def test_machines_are_judged_by_the_model_of_their_arm(
    small_fleet: Path, tmp_path: Path
) -> None:
    folder, at = tmp_path / "a", end_of(small_fleet) + MINUTE
    registry = Registry(published_maintenance(small_fleet, folder))
    model = fleet_model.trained(small_fleet).model
    artifact = fleet_model.save(model, tmp_path / "second", fleet_model.CREATED_AT + 1_000_000)
    version = registry.publish(artifact, "maintenance")
    names = [f"M{k:05d}" for k in range(1, 9)]
    async with maintenance(small_fleet, folder, at, experiment_seconds=0.1) as app:
        for name in names:
            await app.post("readings", news(small_fleet, name, hours=100))

        async def ask(name: str) -> dict[str, Any]:
            return await app.post("predict", {"machine_id": name, "at": iso(at)})

        answers, rows = await compared(app, names, ask, version)
    check(answers, rows, (registry.aliases("maintenance")["champion"], version))
    # the same weights: what is answered by the process is what would have been answered here
    assert [row.challenger_score for row in rows] == pytest.approx(
        [row.champion_score for row in rows]
    )
    for row in rows:
        assert answers[row.entity_id]["failure_within"]["7d"] == pytest.approx(row.champion_score)


async def test_customers_are_scored_by_the_model_of_their_arm(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    registry = Registry(published_churn(folder))
    trained_churn().save(tmp_path / "second", LATER)
    version = registry.publish(tmp_path / "second", "churn")
    names = stayers(8)
    async with churn(folder, experiment_seconds=0.1) as app:
        await app.tell(names)

        async def ask(name: str) -> dict[str, Any]:
            return await app.post("score", {"customer_id": name})

        answers, rows = await compared(app, names, ask, version)
        shown = {name: await app.get(f"customers/{name}/health") for name in names}
    check(answers, rows, (registry.aliases("churn")["champion"], version))
    assert [row.challenger_score for row in rows] == [row.champion_score for row in rows]
    for name, answer in answers.items():
        assert answer["window_days"] == trained_churn().target.window_days
        # the customer's history knows of the score that was answered
        assert shown[name]["model_version"] == answer["model_version"]
        assert shown[name]["chance"] == answer["chance"]


async def test_posts_are_judged_by_the_model_of_their_authors_arm(tmp_path: Path) -> None:
    registry = Registry(published_moderation(tmp_path))
    other = other_model()
    other.save(tmp_path / "second", LATER)
    version = registry.publish(tmp_path / "second", "moderation")
    champion = registry.aliases("moderation")["champion"]
    pixels = small_model.parts()[2].images[0]
    posts = {f"author-{k}": f"you are all vermin {k} !!" for k in range(8)}
    more = {"experiment_seconds": 0.1, "challenger_batch_ms": 30_000.0}
    async with moderation(tmp_path / "a", tmp_path / "registry", **more) as app:

        async def ask(name: str) -> dict[str, Any]:
            body = {"post_id": f"post of {name}", "author_id": name, "text": posts[name]}
            return await app.post("posts", {**body, "images": [sent(png(pixels))]})

        answers, rows = await compared(app, list(posts), ask, version)
    check(answers, rows, (champion, version))
    models = {champion: small_model.model(), version: other}
    for row in rows:
        inputs = [PostInputs(posts[row.entity_id], (pixels,))]
        expected = {name: sigmoid(model.log_odds(inputs))[0] for name, model in models.items()}
        answer = answers[row.entity_id]
        served = [policy["probability"] for policy in answer["policies"].values()]
        assert served == pytest.approx(expected[answer["model_version"]].tolist(), abs=1e-6)
        assert row.champion_score == pytest.approx(float(np.max(expected[champion])), abs=1e-6)
        assert row.challenger_score == pytest.approx(float(np.max(expected[version])), abs=1e-6)
