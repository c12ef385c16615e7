"""`jobs.mapping.suggest` and `jobs.mapping.check`, as commands: files, lines, pages, exit codes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from jobs.framework.command import run_job
from jobs.mapping.check import CheckConfig
from jobs.mapping.check import main as check
from jobs.mapping.suggest import SuggestConfig
from jobs.mapping.suggest import main as suggest

ROWS = "".join(f"p{k},2024-03-01 10:{k:02d}:00,c{k % 3},<s>,{k}.50,{k % 2}\n" for k in range(30))


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    path = tmp_path / "payments.csv"
    path.write_text(f"tx,ts,cust,shop,amt,isFraud\n{ROWS}p99,yesterday,c1,s,1.00,0\np0,,,,\n")
    return path


def test_a_suggested_file_is_read_by_check_with_all_rows_accounted_for(
    payments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    target, page = tmp_path / "made" / "payments.yaml", tmp_path / "made" / "check.html"
    run_job(SuggestConfig, suggest, [str(payments), "--output", str(target)])
    printed = capsys.readouterr().out
    assert "contract: fraud.transactions" in printed
    assert "lacking:  currency: ISO 4217 code" in printed
    assert yaml.safe_load(target.read_text())["contract"] == "transactions"

    run_job(CheckConfig, check, [str(payments), "--mapping", str(target), "--html", str(page)])
    printed = capsys.readouterr().out
    assert "rows: 32 = 30 good + 2 set aside + 0 left out + 0 repeats + 0 merged" in printed
    assert "event_time: not an ISO 8601 time" in printed
    assert "line: 5 fields where 6 were expected" in printed
    assert printed.count(" of payments.csv: ") == 10
    assert "amt           0.50" in printed
    assert "amount_minor    50" in printed
    text = page.read_text()
    assert "&lt;s&gt;" in text
    assert "<s>" not in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_without_an_output_the_file_is_printed(payments: Path, capsys: pytest.CaptureFixture[str]):
    run_job(SuggestConfig, suggest, [str(payments), "--contract", "fraud.labels"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["contract"] == "labels"
    assert printed["columns"]["is_fraud"] == {"from": "isFraud"}


def test_a_contract_name_of_two_systems_is_told_by_what_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "verdicts.csv").write_text("post_id,policy,violates,by,ts\n1,hate,1,a,2024-03-01\n")
    (tmp_path / "m.yaml").write_text(
        "contract: labels\ncolumns:\n  post_id: post_id\n  policy: policy\n  violates: violates\n"
        "  by: by\n  event_time: {from: ts, timezone: UTC}\n"
    )
    arguments = [str(tmp_path / "verdicts.csv"), "--mapping", str(tmp_path / "m.yaml")]
    run_job(CheckConfig, check, arguments)
    assert "as moderation.labels by m.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["absent.csv", "--mapping", "m.yaml"], "there is no file or folder absent.csv"),
        (["payments.csv", "--mapping", "m.yaml"], "no such column; did you mean 'user_id'"),
        (["payments.csv", "--mapping", "none.yaml"], "unknown key|contract: 'nonsense'"),
        (["payments.csv", "--mapping", "late.yaml"], "31 of 32 rows|32 of 32 rows were set aside"),
        (["payments.csv", "--mapping", "late.yaml", "--rows", "-1"], "--rows: expected 0 or more"),
        (["payments.csv"], "2"),
        (["payments.csv", "--mappping", "m.yaml"], "2"),
    ],
)
def test_check_ends_with_a_message_or_with_two(
    arguments: list[str],
    code: str,
    payments: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    folder = payments.parent
    (folder / "m.yaml").write_text("contract: transactions\ncolumns: {user: cust}\n")
    (folder / "none.yaml").write_text("contract: nonsense\ncolumns: {user: cust}\n")
    (folder / "late.yaml").write_text(
        "contract: labels\ncolumns:\n  transaction_id: tx\n  is_fraud: {from: shop}\n"
        "  observed_at: {from: ts, timezone: UTC}\n"
    )
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        run_job(CheckConfig, check, arguments)
    if code == "2":
        assert end.value.code == 2
    else:
        assert str(end.value.code).startswith("error: ")
        assert any(part in str(end.value.code) for part in code.split("|"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["payments.csv", "--contract", "payment"], "did you mean 'payments'"),
        (["payments.csv", "--sample-rows", "1"], "--sample-rows: expected 10 or more"),
        (["payments.csv", "--output", "."], "is a folder"),
    ],
)
def test_suggest_refuses_options_that_cannot_work(
    arguments: list[str], message: str, payments: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(payments.parent)
    with pytest.raises(SystemExit, match="error: ") as end:
        run_job(SuggestConfig, suggest, arguments)
    assert message in str(end.value.code)
