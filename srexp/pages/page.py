"""A page as one HTML file, to be read anywhere: nothing in it is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Literal

_SHARED = Path(__file__).parent


def render(folder: Path, template: str, *, slider: bool = False, **values: Any) -> str:
    """Fill in a template that extends `base.html.jinja`.

    Args:
        folder: Where it lies; `base.html.jinja` and `parts.html.jinja` are found besides.
        template: Its file name.
        slider: Whether the page may hold `parts.slider`. The script that moves it is the only one
            that a browser runs in the page, by its digest; without it, none.
        **values: What the template needs. All text is escaped, but for what is `Markup`.

    Returns:
        The content of the HTML file.
    """
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    loader = ChoiceLoader([FileSystemLoader(folder), FileSystemLoader(_SHARED)])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    script = (_SHARED / "slider.js").read_text(encoding="utf-8") if slider else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        script=Markup(script), script_digest=digest, **values
    )


def data_uri(content: bytes, kind: Literal["png"] = "png") -> str:
    """A picture as the `src` of an image in a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
