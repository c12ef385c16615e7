"""Files that a page offers for download."""

from __future__ import annotations

from starlette.responses import Response

CSV = "text/csv; charset=utf-8"
CALENDAR = "text/calendar; charset=utf-8"


def download(text: str, name: str, media_type: str = CSV) -> Response:
    """A text as a file that the browser keeps."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=headers, media_type=media_type)
