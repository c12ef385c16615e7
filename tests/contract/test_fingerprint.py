"""A fingerprint of files speaks of their content, and of nothing else."""

from lib.contract import fingerprint_files


def test_files_count_by_content_whatever_their_order_and_name(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, text in zip(paths, ("one", "two", "one"), strict=True):
        path.write_text(text)
    assert fingerprint_files(paths[:2]) == fingerprint_files([paths[1], paths[2]])
    assert fingerprint_files(paths[:2]) != fingerprint_files(paths)
