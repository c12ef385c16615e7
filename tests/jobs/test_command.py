"""A job answers what its user can mend in a line, and before Ray starts."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jobs.framework.command import message_for_user, one_traceback, run_job
from jobs.framework.paths import PathRole, check_paths, paths_of
from jobs.framework.progress import JobOptions, progress, set_progress
from jobs.fraud.features import FeaturesConfig
from lib.contract import ContractError
from lib.fraud.model.time_split import Lengths
from tests.jobs.entries import JOBS, entries, entry_names, option_names

ROOT = JOBS.parent
SLOW = ("ray", "torch", "xgboost", "sklearn", "transformers")
# starts a process for each line: a copy of this one, which has imported what all jobs import
RUN = """
import json, os, runpy, sys
import jobs.framework.command, lib.contract
for line in sys.stdin:
    sys.argv = json.loads(line)
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    code = None
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except BaseException as end:
        code = str(getattr(end, "code", repr(end)))
    print("ended", json.dumps([code, [one for one in {slow} if one in sys.modules]]), flush=True)
    os._exit(0)
"""
Ended = Callable[..., tuple[str, list[str]]]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """Runs a job: the message that it ends with, and which slow libraries it had imported."""
    errors = tmp_path_factory.mktemp("command") / "errors"
    with (
        errors.open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", RUN.format(slow=SLOW)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def run(name: str, *arguments: object) -> tuple[str, list[str]]:
            process.stdin.write(json.dumps([name, *map(str, arguments)]) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                if line.startswith("ended "):
                    code, imported = json.loads(line.removeprefix("ended "))
                    return code, imported
            raise AssertionError(errors.read_text())

        yield run
        process.stdin.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Small tables, each with a mapping file that has one wrong key."""
    tables = {
        "transactions": "tx,ts,cust,shop,amt\n1,2024-03-01T10:00:00Z,7,s,10.00\n",
        "customers": "id,since\na,2024-01-01T00:00:00Z\n",
        "telemetry": "machine_id,event_time,t\nm1,2024-01-01T00:00:00Z,1\n",
        "posts": "id,who,ts,words\np1,a,2024-01-01T00:00:00Z,hello\n",
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
        wrong = f"contract: {name}\ncolumns:\n  event_time: {{from: ts, timezonne: UTC}}\n"
        (tmp_path / f"{name}.yaml").write_text(wrong)
    (tmp_path / "empty").mkdir()
    return tmp_path


JOBS_OF_TABLES = {
    "jobs.fraud.features": ("transactions", ()),
    "jobs.fraud.train": ("transactions", ("--labels", "transactions.csv")),
    "jobs.churn.features": ("customers", ("--target.means", "no_usage", "--usage", "posts.csv")),
    "jobs.churn.train": ("customers", ()),
    "jobs.churn.score": ("customers", ("--model", "empty")),
    "jobs.maintenance.features": ("telemetry", ()),
    "jobs.maintenance.train": ("telemetry", ("--run-to-failure",)),
    "jobs.maintenance.score": ("telemetry", ("--model", "empty")),
    "jobs.moderation.preprocess": ("posts", ()),
    "jobs.moderation.train": ("posts", ("--labels", "posts.csv")),
    "jobs.moderation.score": ("posts", ("--model", "empty")),
}


@pytest.mark.parametrize("name", JOBS_OF_TABLES)
def test_a_wrong_key_in_a_mapping_is_told_before_ray_is_imported(
    ended: Ended, name: str, files: Path
) -> None:
    table, others = JOBS_OF_TABLES[name]
    more = [str(files / option) if (files / option).exists() else option for option in others]
    code, imported = ended(
        name,
        *(f"--{table}", files / f"{table}.csv", f"--mapping-{table}", files / f"{table}.yaml"),
        *("--output", files / "out", *more),
    )
    assert code.startswith("error: ")
    assert "timezonne" in code
    assert imported == []
    assert not (files / "out").exists()


def test_no_job_imports_what_takes_seconds_before_it_has_read_its_options() -> None:
    text = f"import importlib, sys\nfor name in {entry_names()}: importlib.import_module(name)\n"
    text += f"print([one for one in {SLOW} if one in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_missing_column_and_a_missing_file_are_told_before_ray_is_imported(
    ended: Ended, files: Path
) -> None:
    mapping = files / "good.yaml"
    mapping.write_text(
        "contract: transactions\ncolumns:\n  transaction_id: {from: tx}\n"
        "  event_time: {from: when}\n  user_id: {from: cust}\n  merchant_id: {from: shop}\n"
        "  amount_minor: {from: amt, unit: major, currency_digits: 2}\n"
        "  currency: {value: EUR}\n  payment_method: {value: card}\n"
    )
    arguments = ("--mapping-transactions", mapping, "--output", files / "out")
    code, imported = ended(
        "jobs.fraud.features", "--transactions", files / "transactions.csv", *arguments
    )
    assert "'when'" in code
    assert imported == []
    code, imported = ended("jobs.fraud.features", "--transactions", files / "none.csv", *arguments)
    assert code == f"error: --transactions: there is no file or folder {files / 'none.csv'}"
    assert imported == []


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("jobs.fraud.train", (), "expected either --features or --transactions"),
        ("jobs.fraud.train", ("--features", ".", "--num-workers", "0"), "--num-workers 0"),
        ("jobs.churn.train", ("--features", ".", "--capacity", "2"), "--capacity: expected"),
        ("jobs.maintenance.train", ("--features", ".", "--test-share", "2"), "--test-share"),
        ("jobs.moderation.train", ("--rows", ".", "--test-share", "2"), "--test-share"),
        ("jobs.churn.train", ("--static", ".", "--bootstrap", "0"), "--bootstrap: expected 1"),
        ("jobs.maintenance.score", ("--static", "."), "expected either --model or --registry"),
        ("jobs.moderation.train", ("--rows", ".", "--size", "huge"), "huge"),
    ],
)
def test_a_value_that_cannot_work_is_told_before_ray_is_imported(
    ended: Ended, name: str, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    code, imported = ended(name, "--output", tmp_path / "out", *arguments)
    assert message in code
    assert imported == []


# Errors


def test_errors_of_ours_and_of_the_system_are_for_the_user() -> None:
    assert message_for_user(ContractError("column 'a' is missing")) == "column 'a' is missing"
    assert "No such file" in str(message_for_user(FileNotFoundError(2, "No such file", "x")))


def test_a_bug_is_none_of_the_users_errors() -> None:
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int("x")
    assert message_for_user(raised.value) is None
    assert one_traceback(raised.value).count("Traceback") == 1


def test_a_bug_ends_with_one_traceback() -> None:
    def main(_options: JobOptions) -> None:
        raise KeyError("a bug")

    with pytest.raises(SystemExit) as end:
        run_job(JobOptions, main, [])
    assert "KeyError: 'a bug'" in str(end.value.code)
    assert str(end.value.code).count("Traceback") == 1
    assert "this is a bug" in str(end.value.code)


def test_a_value_that_our_code_refuses_is_for_the_user_and_one_that_a_library_refuses_is_not() -> (
    None
):
    with pytest.raises(ValueError, match="slices: expected") as raised:
        Lengths(folds=0)
    assert str(message_for_user(raised.value)).startswith("slices: expected")
    with pytest.raises(ValueError, match="reshape") as raised:
        np.zeros(3).reshape(2)
    assert message_for_user(raised.value) is None


# Paths


def test_every_option_that_names_files_has_a_role() -> None:
    path_pattern = re.compile(r"\b(folder|file|URI|YAML that maps)\b")
    without = []
    for name, kind in entries():
        try:
            path_options = {option for option, _, _ in _all_paths(kind)}
        except TypeError:
            continue
        for field, text in _documented(kind):
            begins = re.match(
                r"(where to: )?[a-z ,]{0,40}" + path_pattern.pattern, text, re.IGNORECASE
            )
            if begins and f"--{field.replace('_', '-')}" not in path_options | {"--size"}:
                without.append(f"{name} {field}: {text}")
    assert without == []


def _all_paths(kind: type) -> Iterator[tuple[str, PathRole, str]]:
    """Every path option, as if each was given."""
    options = object.__new__(kind)
    for name in kind.__dataclass_fields__:
        object.__setattr__(options, name, "given")
    return paths_of(options)


def _documented(kind: type) -> Iterator[tuple[str, str]]:
    """Fields of a dataclass and of those that it inherits from, with what stands under each."""
    for base in kind.__mro__[:-1]:
        (tree,) = (
            node
            for node in ast.parse(
                Path(sys.modules[base.__module__].__file__ or "").read_text()
            ).body
            if isinstance(node, ast.ClassDef) and node.name == base.__name__
        )
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                yield field.target.id, " ".join(str(text.value.value).split())


def options(folder: Path, **changes: str) -> FeaturesConfig:
    (folder / "here.csv").touch()
    return FeaturesConfig(**({"transactions": "here.csv", "output": "out"} | changes))


def test_relative_paths_are_as_they_are_outside_of_a_submitted_job(tmp_path: Path) -> None:
    assert check_paths(options(tmp_path), tmp_path, {}) == []


def test_a_submitted_job_refuses_an_output_that_would_be_deleted_with_it(tmp_path: Path) -> None:
    unpacked = tmp_path / "working_dir_files" / "_ray_pkg_0123"
    unpacked.mkdir(parents=True)
    with pytest.raises(ContractError, match=r"--output out: relative to .*_ray_pkg_0123.*URI"):
        check_paths(options(unpacked), unpacked, {})
    assert check_paths(options(unpacked, output="/data/out"), unpacked, {}) == []
    assert check_paths(options(unpacked, output="s3://bucket/out"), unpacked, {}) == []


def test_a_submitted_job_says_why_an_ignored_file_is_not_there(tmp_path: Path) -> None:
    unpacked = tmp_path / "_ray_pkg_0123"
    unpacked.mkdir()
    config = options(unpacked, transactions="var/payments.csv", output="/out")
    with pytest.raises(ContractError, match=r"var/payments.csv in .*gitignore"):
        check_paths(config, unpacked, {})


def test_a_job_submitted_without_files_says_where_its_relative_paths_lie(tmp_path: Path) -> None:
    warnings = check_paths(options(tmp_path), tmp_path, {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})
    assert len(warnings) == 2
    assert warnings[1].startswith(f"warning: --output out means {tmp_path / 'out'} on the machine")


# Progress


def test_every_job_takes_progress() -> None:
    for name, kind in entries():
        assert issubclass(kind, JobOptions), name


@pytest.mark.parametrize(("style", "lines"), [("none", 0), ("log", 1)])
def test_progress_is_silent_or_in_lines(
    style: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    set_progress(style)
    try:
        with progress(3, "fitted", "folds") as done:
            for _ in range(3):
                done(1)
    finally:
        set_progress("auto")
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.splitlines() == ["fitted: 3 of 3 folds"] * lines


# What is printed


def test_every_option_that_a_job_prints_is_one_of_its_own() -> None:
    # those that only read what another job wrote import more of it than they call
    readers = (".tune", ".select", "fraud.score")
    for name, kind in entries():
        if name.endswith(readers):
            continue
        own = {*option_names(kind), "--help", "--config"}
        for module in _reached(name):
            for text in _texts(JOBS.parent / (module.replace(".", "/") + ".py"), kind):
                if "jobs." in text or " " not in text:
                    continue  # of another job, or handed to what prints it
                strange = set(re.findall(r"--[a-z][a-z.-]*[a-z]", text)) - own
                assert not strange, f"{name} may print {text!r} of {module}"


def _reached(entry: str) -> set[str]:
    """Modules of the same system that a job imports, at once or later."""
    package = entry.rpartition(".")[0]
    modules, pending = set(), [entry]
    while pending:
        module = pending.pop()
        if module in modules:
            continue
        modules.add(module)
        path = JOBS.parent / (module.replace(".", "/") + ".py")
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            pending += [name for name in names if name.startswith(f"{package}.")]
    return modules


def _texts(path: Path, kind: type) -> Iterator[str]:
    """Texts of a module that a job with options `kind` may print: docstrings are none."""
    tree = ast.parse(path.read_text())
    used = {base.__name__ for base in kind.__mro__}
    tree.body = [
        node
        for node in tree.body
        if not isinstance(node, ast.ClassDef)
        or node.name in used
        or not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    silent |= {
        id(node.value)
        for class_node in ast.walk(tree)
        if isinstance(class_node, ast.ClassDef)
        for node in class_node.body
        if isinstance(node, ast.Expr)
    }
    fragment_ids = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) for p in node.values if isinstance(p, ast.Constant))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent | fragment_ids
        ):
            yield node.value
