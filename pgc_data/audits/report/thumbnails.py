"""Thumbnails: the pictures of a page, fetched in one go and inlined as small JPEG."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import cv2

from pgc_data.audits.content import decoded, quiet_opencv
from pgc_data.audits.report.html import attribute, shortened, words
from pgc_data.audits.report.plots import tones

Ref = Mapping[str, Any]
"""A row of a table: `file`, `row`, and where known `split`, `label`, `group`, `name`."""

Pictures = Callable[[Sequence[Ref]], Mapping[tuple[str, int], bytes]]
"""Gives the encoded images of rows, by file and row; a row that it cannot give is left out."""

SIDE = 96
"""The longest side of a thumbnail, in pixels."""

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 72]


def is_ref(value: object) -> bool:
    """Whether a value names a row of a table."""
    return isinstance(value, Mapping) and {"file", "row"} <= value.keys() and isinstance(value["row"], int)


class Thumbnails:
    """The pictures of a page.

    Args:
        pictures: gives the images of rows.
        refs: all rows that the page may show.
        splits: the splits in the order of their colours.
    """

    def __init__(self, pictures: Pictures, refs: Iterable[Ref], splits: Sequence[str]) -> None:
        wanted = list({(ref["file"], ref["row"]): ref for ref in refs}.values())
        found = pictures(wanted) if wanted else {}
        with quiet_opencv():
            self._data = {key: data for key, image in found.items() if (data := _jpeg(image))}
        self._tones = tones(splits) if len(splits) > 1 else {}

    def __contains__(self, ref: Ref) -> bool:
        return (ref["file"], ref["row"]) in self._data

    def figure(self, ref: Ref, caption: str = "") -> str:
        """A row's picture, underlined in its split's colour, with a line of text below."""
        data = self._data.get((ref["file"], ref["row"]))
        tone = self._tones.get(str(ref.get("split")), "")
        if data is None:
            picture = '<span class="gone">not shown: no image that decodes</span>'
        else:
            picture = f'<img src="data:image/jpeg;base64,{data}" alt="{attribute(described(ref))}">'
        below = f"<span>{words(shortened(caption))}</span>" if caption else ""
        return f'<span class="thumb {tone}" title="{attribute(place(ref))}">{picture}{below}</span>'

    def row(self, refs: Sequence[Ref], captions: Sequence[str] | None = None, kind: str = "six") -> str:
        """Pictures side by side; `kind` is how many fit on a wide screen, `six` or `eight`."""
        captions = captions or [""] * len(refs)
        items = (f"<li>{self.figure(r, c)}</li>" for r, c in zip(refs, captions, strict=True))
        return f'<ul class="sheet-row {kind}">{"".join(items)}</ul>'


def place(ref: Ref) -> str:
    """Where a row lies, for a person: its name where it has one, else file and row."""
    where = f"{ref['file']}, row {ref['row']:,}"
    return f"{ref['name']} ({where})" if ref.get("name") else where


def described(ref: Ref) -> str:
    """A row's picture in words."""
    known = [str(ref[key]) for key in ("label", "split", "group") if ref.get(key) is not None]
    return f"Row {ref['row']:,}: {', '.join(known)}" if known else place(ref)


def _jpeg(image: bytes) -> str | None:
    """A small JPEG in base 64, or None if the image does not decode."""
    pixels: Any = decoded(image)[0]
    if pixels is None:
        return None
    scale = SIDE / max(pixels.shape[:2])
    if scale < 1:
        size = [max(1, round(scale * side)) for side in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return base64.b64encode(cv2.imencode(".jpg", pixels, _QUALITY)[1].tobytes()).decode()
