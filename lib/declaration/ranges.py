"""Numbers that settings bound."""


def require_share(name: str, value: float, error: type[ValueError]) -> None:
    """Refuse a share that is not between 0 and 1, these excluded.

    Raises:
        error: names it.
    """
    if not 0.0 < value < 1.0:
        raise error(f"{name}: expected between 0 and 1, got {value}")
