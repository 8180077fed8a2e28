"""The page of the viewer: one HTML file that needs no other, whatever the names in it."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import jinja2

from model.viewer.layers import MOST, View
from model.viewer.pack import Packed, pack
from pipeline.whole_file import whole_file

_HERE = Path(__file__).parent
_SCRIPTS = ("data.js", "camera.js", "draw.js", "words.js", "link.js", "side.js", "app.js")


def render(packed: Packed) -> str:
    """The page. Its policy allows no script but its own, and no connection but to its server."""
    code = "".join((_HERE / "static" / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    style = (_HERE / "static/view.css").read_text(encoding="utf-8")
    connect = "'self'" if packed.meta["server"] else "'none'"
    policy = (
        f"default-src 'none'; script-src {_hash(code)}; style-src {_hash(style)}; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    loader = jinja2.FileSystemLoader(_HERE)
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("page.html.j2")
    return template.render(
        title=packed.meta["title"],
        policy=policy,
        style=style,
        code=code,
        meta=_json(packed.meta),
        data=base64.b64encode(packed.data).decode(),
    )


def write_page(view: View, out: Path, most: int = MOST) -> int:
    """Write the self-contained form to `out`; its size in bytes.

    Raises `BadInput` if it cannot be written.
    """
    content = render(pack(view, most)).encode()
    with whole_file(out) as partial:
        partial.write_bytes(content)
    return len(content)


def _json(meta: dict[str, Any]) -> str:
    """JSON that ends no script element and begins no comment in one."""
    return json.dumps(meta).replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
