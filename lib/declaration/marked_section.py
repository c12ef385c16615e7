"""Sections of documents that a program writes, between two marks; the rest is people's."""


class MarkError(ValueError):
    """A document lacks the marks of a section."""


def with_section(document: str, name: str, content: str) -> str:
    r"""The document with other content between the marks of a section.

    >>> print(with_section("<!-- begin x -->old<!-- end x -->", "x", "new").replace("\n\n", " "))
    <!-- begin x --> new <!-- end x -->

    Raises:
        MarkError: a mark is absent, or comes twice.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if document.count(begin) != 1 or document.count(end) != 1:
        raise MarkError(f"expected one line '{begin}' and one line '{end}'")
    head, _, rest = document.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n\n{content.strip()}\n\n{end}{tail}"
