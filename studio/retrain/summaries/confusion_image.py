"""A confusion matrix as a picture, for where no page can draw it."""

from dataclasses import dataclass
from functools import cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from studio.retrain.evaluation.evaluation import Evaluation

_MOST_PX, _LEAST_CELL_PX, _CELL_PX = 960, 4, 64
_NUMBERED_PX = 22
"""Cells smaller than that hold no number, and rows no name."""
_NAME_PX = 150
_INK, _PAPER, _SHADE = (29, 36, 32), (255, 255, 255), (11, 138, 96)
_FONTS = ("malgun.ttf", "AppleSDGothicNeo.ttc", "NotoSansCJK-Regular.ttc", "NanumGothic.ttf")
"""Of Windows, macOS and Linux: those with letters of more than one script, where they are there."""
_HALF = 0.5


@dataclass(frozen=True)
class Drawn:
    """A PNG file's bytes, and its size."""

    png: bytes
    width_px: int
    height_px: int


def confusion_image(evaluation: Evaluation) -> Drawn:
    """Draw rows of true classes and columns of predicted ones, shaded by the share of the row.

    Columns bear the numbers that stand before the classes' names at the rows.
    """
    count = max(1, len(evaluation.classes))
    cell = max(_LEAST_CELL_PX, min(_CELL_PX, _MOST_PX // count))
    told = cell >= _NUMBERED_PX
    left, top = (_NAME_PX, cell) if told else (0, 0)
    image = Image.new("RGB", (left + cell * count, top + cell * count), _PAPER)
    pen = ImageDraw.Draw(image)
    font = _font(min(14, cell // 2)) if told else None
    for row, counts in enumerate(evaluation.confusion):
        total, y = sum(counts), top + cell * row
        if told:
            name = f"{row + 1}  {evaluation.classes[row]}"
            pen.text((8, y + cell // 2), _cut(pen, name, font, left - 16), _INK, font, "lm")
            pen.text((left + cell * row + cell // 2, cell // 2), str(row + 1), _INK, font, "mm")
        for column, number in enumerate(counts):
            share, x = (number / total if total else 0.0), left + cell * column
            box = (x, y, x + cell - 2, y + cell - 2)
            pen.rectangle(box, tuple(round(p + (s - p) * share) for p, s in zip(_PAPER, _SHADE, strict=True)))
            if told and number:
                ink = _PAPER if share > _HALF else _INK
                pen.text((x + cell // 2 - 1, y + cell // 2 - 1), str(number), ink, font, "mm")
    file = BytesIO()
    image.save(file, "PNG")
    return Drawn(file.getvalue(), *image.size)


def _cut(pen: ImageDraw.ImageDraw, text: str, font: "_Font | None", width_px: int) -> str:
    while pen.textlength(text, font) > width_px:
        text = text[:-2] + "…"
    return text


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def _font(size_px: int) -> _Font:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size_px)
        except OSError:
            continue
    return ImageFont.load_default(size_px)
