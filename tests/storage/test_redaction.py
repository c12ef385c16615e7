import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.storage import has_credentials, open_storage, redact_uri, redacted


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://AKIA1:s3cr3t@models/a", "s3://***@models/a"),
        ("memory://AKIA:SECRETKEY@bucket", "memory://***@bucket"),
        ("postgresql+psycopg://forewarn:pw@db:5432/x", "postgresql+psycopg://***@db:5432/x"),
        ("postgresql+psycopg://forewarn@db/x", "postgresql+psycopg://forewarn@db/x"),
        ("redis://:pw@host:6379/0", "redis://***@host:6379/0"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("postgresql://u:p/w@d@host/db", "postgresql://***@host/db"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://b/x?region=eu&secret_key=abc", "s3://b/x?region=eu&secret_key=***"),
        ("postgresql:///db?host=/run&password=pw", "postgresql:///db?host=***&password=***"),
        ("connection failed: password=hunter2 host=db", "connection failed: password=*** host=db"),
        ("see 's3://k:s@b/a' and gs://x/y", "see 's3://***@b/a' and gs://x/y"),
        ("out/model", "out/model"),
    ],
)
def test_credentials_are_hidden_and_nothing_else(uri: str, shown: str) -> None:
    assert redact_uri(uri) == shown
    assert has_credentials(uri) == (uri != shown)


SECRET = st.text("abcXYZ0189!$%+~.-_/@:", min_size=6, max_size=20)


@given(SECRET, st.sampled_from(["s3", "redis", "postgresql+psycopg"]))
def test_no_password_is_shown_whatever_its_characters(secret: str, scheme: str) -> None:
    secret = f"Q{secret}Q"
    assert redact_uri(f"{scheme}://user:{secret}@host/name") == f"{scheme}://***@host/name"
    assert redact_uri(f"{scheme}://host/name?api_key=Q{secret}".replace("@", "")).endswith("=***")


def test_a_configuration_is_redacted_at_every_depth() -> None:
    config = {"registry": "s3://a:b@c/d", "data": [{"uri": "s3://a:b@c"}], "seed": 7, "none": None}
    assert redacted(config) == {
        "registry": "s3://***@c/d",
        "data": [{"uri": "s3://***@c"}],
        "seed": 7,
        "none": None,
    }


def test_an_address_is_shown_without_its_credentials(tmp_path) -> None:
    assert open_storage("memory://a:b@c/d").shown("e") == "fsspec+memory://***@c/d/e"
    assert open_storage(tmp_path).shown("e") == str(tmp_path / "e")
