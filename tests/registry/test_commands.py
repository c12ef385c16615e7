import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert

from lib.records.schema import EXPERIMENT_CHANGES, EXPERIMENTS
from lib.registry import Registry
from lib.retraining.promotion import PromotionRepository
from tests.registry.conftest import NOVEMBER, WriteModel


def run(command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", f"jobs.registry.{command}", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path, write_model: WriteModel) -> Path:
    for second in range(2):
        write_model(tmp_path / f"model-{second}", created_at=NOVEMBER + second * 1_000_000)
        Registry(tmp_path / "registry").publish(tmp_path / f"model-{second}", "fraud")
    return tmp_path / "registry"


def test_a_model_is_promoted_and_rolled_back_from_the_shell(root: Path) -> None:
    common = ("--registry", root, "--system", "fraud", "--alias", "champion", "--by", "ana")
    first, second = Registry(root).versions("fraud")
    for version in (first, second):
        ended = run("promote", *common, "--version", version, "--reason", "the first models")
        assert ended.returncode == 0, ended.stderr
    assert Registry(root).resolve("fraud", "champion") == second
    ended = run("rollback", "--registry", root, "--system", "fraud", "--by", "ana")
    assert ended.stdout.splitlines()[-1].endswith(f"{second}  {first}  ana  (none)")
    assert Registry(root).resolve("fraud", "champion") == first
    table = run("list", "--registry", root, "--history").stdout
    assert [line.split()[3:5] for line in table.splitlines()[2:]] == [
        ["champion", "set"],
        ["champion", "set"],
        ["champion", "rollback"],
    ]


def test_the_list_shows_each_version_with_its_metrics(root: Path) -> None:
    lines = run("list", "--registry", root).stdout.splitlines()
    assert lines[0].split() == ["system", "version", "alias", "created", "features", "metrics"]
    assert len(lines) == 4
    assert lines[2].endswith("average_precision=0.7")


def test_an_unknown_version_ends_with_a_message_and_no_traceback(root: Path) -> None:
    ended = run("promote", "--registry", root, "--system", "fraud", "--version", "newest")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: fraud: no version 'newest'")
    assert "Traceback" not in ended.stderr


def test_a_promotion_names_its_evidence_and_a_rollback_its_reason(root: Path) -> None:
    common = ("--registry", root, "--system", "fraud", "--alias", "champion", "--by", "ana")
    first, second = Registry(root).versions("fraud")
    report = root.parent / "report.json"
    report.write_text(json.dumps({"retraining": {"decision": "keeps 120 a week more"}}))
    assert run("promote", *common, "--version", first, "--reason", "the first").returncode == 0
    ended = run("promote", *common, "--version", second, "--evidence", report)
    assert "keeps 120 a week more" in ended.stdout.splitlines()[-1]
    assert run("rollback", *common, "--reason", "reviews doubled").returncode == 0
    first_one, promoted, rolled_back = Registry(root).history("fraud")
    assert (first_one.reason, first_one.evidence) == ("the first", None)
    assert promoted.evidence is not None
    assert promoted.evidence.sha256 == hashlib.sha256(report.read_bytes()).hexdigest()
    assert rolled_back.reason == "reviews doubled"
    lines = run("list", "--registry", root, "--history").stdout.splitlines()
    assert lines[2].endswith("ana  the first")
    assert lines[3].endswith(f"report {report}: keeps 120 a week more")
    assert lines[4].endswith("ana  reviews doubled")


def test_a_champion_without_evidence_needs_a_reason(root: Path) -> None:
    first, second = Registry(root).versions("fraud")
    common = ("--registry", root, "--system", "fraud", "--by", "ana", "--alias")
    refused = run("promote", *common, "champion", "--version", first)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: --evidence is missing: name the report or the exp")
    assert Registry(root).aliases("fraud") == {}
    on_trial = run("promote", *common, "challenger", "--version", second)
    assert on_trial.stdout.splitlines()[-1].endswith(f"-     {second}  ana  (none)")
    assert run("promote", *common, "champion", "--version", first, "--reason", "x").returncode == 0
    again = run("promote", *common, "champion", "--version", first, "--reason", "y")
    assert again.stdout == f"nothing changed: champion of fraud is {first} already\n"
    assert len(Registry(root).history("fraud")) == 2


def test_evidence_of_another_version_or_against_this_one_moves_nothing(root: Path) -> None:
    first, second = Registry(root).versions("fraud")
    report = root.parent / "report.json"
    facts = {"decision": "not published: it loses 5 a week", "won": False}
    report.write_text(json.dumps(facts | {"challenger": {"version": second}}))
    common = ("--registry", root, "--system", "fraud", "--alias", "champion", "--by", "ana")
    other = run("promote", *common, "--version", first, "--evidence", report)
    assert f"it compared {second} with the champion, not {first}" in other.stderr
    lost = run("promote", *common, "--version", second, "--evidence", report)
    assert f"it does not speak for {second}; give --reason as well" in lost.stderr
    assert Registry(root).aliases("fraud") == {}
    reasoned = run(
        "promote", *common, "--version", second, "--evidence", report, "--reason", "prices fell"
    )
    assert reasoned.stdout.splitlines()[-1].endswith("it loses 5 a week; prices fell")
    (change,) = Registry(root).history("fraud")
    assert change.evidence is not None
    assert (change.by, change.reason) == ("ana", "prices fell")


def test_nobody_or_a_forged_line_is_no_name(root: Path) -> None:
    first, _ = Registry(root).versions("fraud")
    common = ("--registry", root, "--system", "fraud", "--version", first, "--by")
    for name in ("", " ", "ana\n2026-11-28 fraud champion", "a" * 201):
        ended = run("promote", *common, name)
        assert ended.stderr.startswith("error: --by: expected the name of who decides"), name
    assert Registry(root).aliases("fraud") == {}


def test_evidence_that_is_nowhere_ends_with_a_message_and_moves_nothing(root: Path) -> None:
    first, _ = Registry(root).versions("fraud")
    common = ("--registry", root, "--system", "fraud", "--version", first, "--evidence", "spring")
    ended = run("promote", *common)
    assert ended.stderr.startswith("error: --evidence: there is no file spring; if it is the name")
    absent = run("promote", *common, "--records", f"sqlite:///{root}/no.db")
    assert "there is no file" in absent.stderr
    assert Registry(root).aliases("fraud") == {}


def test_the_verdict_of_an_experiment_is_evidence_and_its_audit_says_so(root: Path) -> None:
    url = f"sqlite:///{root.parent / 'records.db'}"
    change = {"experiment_id": "e1", "action": "judged", "by": "ana", "at": 2}
    first, second = Registry(root).versions("fraud")
    declaration = {"name": "spring", "challenger": second}
    declared = {"id": "e1", "system": "fraud", "key": "k", "declaration": declaration}
    with PromotionRepository(url) as repository:
        repository.migrate()
        with repository._database.writing() as connection:
            connection.execute(insert(EXPERIMENTS), [declared | {"share": 0.5, "started_at": 1}])
            detail = {"sentence": "the challenger keeps 12,400 USD a week more; promote"}
            connection.execute(insert(EXPERIMENT_CHANGES), [change | {"detail": detail}])
    common = ("--registry", root, "--system", "fraud", "--alias", "champion", "--by", "ben")
    named = ("--evidence", "spring", "--records", url)
    refused = run("promote", *common, "--version", first, *named)
    assert f"compared {second} with the champion, not {first}" in refused.stderr
    ended = run("promote", *common, "--version", second, *named)
    assert ended.returncode == 0, ended.stderr
    (kept,) = Registry(root).history("fraud")
    assert kept.evidence is not None
    assert kept.evidence.text.startswith("experiment spring: the challenger keeps 12,400 USD")
    with PromotionRepository(url) as repository, repository._database.reading() as connection:
        rows = connection.execute(EXPERIMENT_CHANGES.select()).all()
    assert (rows[-1].action, rows[-1].by) == ("promoted", "ben")
    assert rows[-1].detail == {"alias": "champion", "version": second}


def test_a_history_of_before_evidence_was_kept_is_read_and_goes_on(root: Path) -> None:
    first, second = Registry(root).versions("fraud")
    old = {
        "alias": "champion", "action": "set", "before": None, "after": first,
        "at": "2026-11-23T10:15:00.000000Z", "by": "ana",
    }  # fmt: skip
    (root / "fraud/aliases.json").write_text(json.dumps({"history": [old]}))
    registry = Registry(root)
    registry.set_alias("fraud", "champion", second, at=NOVEMBER, by="ben")
    kept = json.loads((root / "fraud/aliases.json").read_text())["history"]
    assert kept[0] == old
    assert "evidence" not in kept[1]
    assert [change.by for change in registry.history("fraud")] == ["ana", "ben"]
