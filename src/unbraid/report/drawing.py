"""Figures to what a page holds: a PNG as a data URI, or SVG without anything that points elsewhere."""

import base64
import io
import warnings
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.figure import Figure
from PIL import Image

DOTS_PER_INCH = 200
FEW_COLOURS = 300  # 256 greys and the blends at the edges of coloured marks
LINK = "{http://www.w3.org/1999/xlink}href"


def png(figure: Figure) -> str:
    """The figure as a data URI; one with few colours, as every grey grid, is stored with a palette (half the size)."""
    picture = Image.open(io.BytesIO(_save(figure, "png", {"Software": None}))).convert("RGB")
    if picture.getcolors(FEW_COLOURS) is not None:
        picture = picture.quantize(256)
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def svg(figure: Figure, prefix: str) -> str:
    """The figure as an `<svg>` element to stand in HTML; `prefix` keeps its identifiers apart from other figures'.

    Text stays text, so that it can be searched and uses the reader's fonts. It is parsed and written anew, without
    metadata and namespaces, so that labels are escaped by the XML writer.
    """
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    root = ElementTree.fromstring(_save(figure, "svg", nothing))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {_plain(name): _local(name, value, prefix) for name, value in element.attrib.items()}
    root.attrib = {"viewBox": root.attrib["viewBox"], "aria-hidden": "true"}
    return ElementTree.tostring(root, encoding="unicode")


def _save(figure: Figure, form: str, metadata: dict) -> bytes:
    settings = {"svg.fonttype": "none", "svg.hashsalt": "unbraid", "text.parse_math": False}
    buffer = io.BytesIO()
    with style.context(["default", settings]), warnings.catch_warnings():
        # a name in a script that matplotlib's font lacks is no reason to stop
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format=form, dpi=DOTS_PER_INCH, metadata=metadata)
    return buffer.getvalue()


def _plain(name: str) -> str:
    return name.rpartition("}")[2]


def _local(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == LINK and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return value.replace("url(#", f"url(#{prefix}")
