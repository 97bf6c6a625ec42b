"""The page where a picture is dropped and a large one comes back, whoever enlarges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def render(folder: Path, template: str, **values: Any) -> str:
    """Fill in a template that extends `enlarging.html.jinja`.

    Args:
        folder: Where it lies.
        template: Its file name.
        **values: What it needs. All text is escaped, but for what is `Markup`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader([folder, FOLDER])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(**values)
