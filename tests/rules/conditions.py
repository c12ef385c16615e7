"""Random conditions and rows, and the two foreign engines that check ours."""

from hypothesis import strategies as st

FIELDS: dict[str, type] = {"x": float, "y": float, "z": float, "s": str, "t": str, "b": bool}

# Eighths are exact in binary and in decimal, so that engines agree on sums and products.
eighths = (st.sampled_from([0, 8, -8]) | st.integers(-40, 40)).map(lambda count: count / 8)
texts = st.sampled_from(["a", "b", "ab", "", "it's", "Ä"])
ORDERED = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
EQUAL = st.sampled_from(["==", "!="])


def quoted(text: str) -> str:
    return '"' + text + '"'


@st.composite
def numbers(draw: st.DrawFn, depth: int = 1, operators: str = "+-*") -> str:
    if depth and draw(st.booleans()):
        left, right = draw(numbers(depth - 1, operators)), draw(numbers(depth - 1, operators))
        return f"({left} {draw(st.sampled_from(operators))} {right})"
    return draw(st.sampled_from(["x", "y", "z"]) | eighths.map(str))


def fielded(expression: str) -> bool:
    return any(name in expression for name in "xyz")


@st.composite
def leaves(draw: st.DrawFn, operators: str, dialect: str) -> str:
    number = draw(numbers(operators=operators).filter(fielded))
    text = draw(st.sampled_from(["s", "t"]))
    is_not = draw(st.sampled_from(["in", "not in"]))
    is_null = f"{draw(st.sampled_from('xsb'))} {draw(EQUAL)} null"
    limits = draw(st.lists(eighths, min_size=1, max_size=3))
    literals = draw(st.lists(texts, min_size=1, max_size=3))
    other = draw(numbers(operators=operators).filter(lambda value: value != number))
    choices = [
        f"{number} {draw(ORDERED)} {other}",
        f"{number} {is_not} {limits}",
        f"{text} {is_not} [{', '.join(map(quoted, literals))}]",
        f"{text} {draw(EQUAL)} {quoted(literals[0])}",
        f"s {draw(EQUAL)} t",
        f"{draw(st.sampled_from('ab'))!r} {is_not} {text}",
        "b",
        f"b {draw(EQUAL)} {draw(st.sampled_from(['true', 'false']))}",
        is_null,
    ]
    return draw(st.sampled_from(choices if dialect == "ours" else choices[:5] + choices[6:]))


def conditions(operators: str = "+-*", dialect: str = "ours") -> st.SearchStrategy[str]:
    """Return expressions of our language; dialect "sql" leaves out parts of texts."""
    return st.recursive(
        leaves(operators, dialect),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
                lambda p: f"({' '.join(p)})"
            ),
            inner.map(lambda part: f"not ({part})"),
        ),
        max_leaves=6,
    )


def rows(missing: bool) -> st.SearchStrategy[dict[str, object]]:
    """Return rows of every field, with holes or without."""
    hole = st.none() if missing else st.nothing()
    number = eighths | hole | (st.just(float("nan")) if missing else st.nothing())
    return st.fixed_dictionaries(
        {
            "x": number,
            "y": number,
            "z": number,
            "s": texts | hole,
            "t": texts | hole,
            "b": st.booleans() | hole,
        }
    )
