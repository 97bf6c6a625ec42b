"""What the HTTP interface takes and gives, for programs: OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from srexp import __version__
from srexp.pictures import writing
from srexp.upscaling import bundled


def description() -> dict[str, Any]:
    """The document."""
    picture = {"schema": {"type": "string", "format": "binary"}}
    pictures = {kind.media_type: picture for kind in writing.FORMATS.values()}
    error = _answer("what is wrong, in one line", {"application/json": {"schema": _ERROR}})
    state = _answer("how far it is", {"application/json": {"schema": _STATE}})
    body = {"required": True, "description": "a picture file", "content": {"image/*": picture}}
    here = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    which = {
        "name": "name", "in": "path", "required": True,
        "schema": {"enum": ["result", "shown", "bicubic"]},
    }  # fmt: skip
    refused = {"4XX": error}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "srexp serve", "version": __version__,
            "description": "Enlarges pictures. Nothing is kept.",
        },
        "paths": {
            "/api": {"get": _operation("what there is: kinds, runs, formats, limits", {
                "200": _answer("as JSON", {"application/json": {"schema": {"type": "object"}}}),
            })},
            "/api/upscale": {"post": {
                **_operation("a picture in, a larger one out", {
                    "200": _answer("the picture", pictures), **refused, "503": error,
                }),
                "parameters": parameters(), "requestBody": body,
            }},
            "/api/jobs": {"post": {
                **_operation("put a picture into the queue", {
                    "202": state, **refused, "503": error,
                }),
                "parameters": parameters(), "requestBody": body,
            }},
            "/api/jobs/{id}": {
                "parameters": here,
                "get": _operation("how far it is", {"200": state, **refused}),
                "delete": _operation("stop and forget it", {"204": _answer("done", {}), **refused}),
            },
            "/api/jobs/{id}/{name}": {
                "parameters": [*here, which],
                "get": _operation("what came of it", {"200": _answer("it", pictures), **refused}),
            },
        },
    }  # fmt: skip


_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}}
_STATE = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["waiting", "running", "done", "failed", "cancelled"]},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "before_it": {"type": "integer"}, "error": {"type": "string"},
        "before": {"type": "array"}, "after": {"type": "array"}, "remarks": {"type": "array"},
        "seconds": {"type": "number"}, "format": {"type": "string"},
        "extension": {"type": "string"}, "bytes": {"type": "integer"},
    },
}  # fmt: skip


def _operation(summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": responses}


def _answer(what: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": what, **({"content": content} if content else {})}


def parameters() -> list[dict[str, Any]]:
    """What the address of a request for a larger picture may ask for."""
    formats = ["own", *writing.FORMATS]
    wanted: dict[str, tuple[dict[str, Any], str]] = {
        "scale": ({"enum": [2, 3, 4, 8]}, "times as large; 2, or the run's, unless given"),
        "width": ({"type": "integer", "minimum": 1}, "of the result, in pixels; in place of scale"),
        "height": ({"type": "integer", "minimum": 1}, "likewise"),
        "kind": ({"enum": list(bundled.KINDS)}, "of the networks that come with srexp"),
        "run": ({"type": "string"}, "a finished run's id, in place of kind"),
        "format": ({"enum": formats}, "without: one that loses nothing; own: the picture's"),
        "quality": ({"type": "integer", "minimum": 1, "maximum": 100}, "of jpeg, webp, avif"),
        "ensemble": ({"type": "boolean"}, "the mean over the eight flips and rotations"),
        "strip": ({"type": "boolean"}, "leave out EXIF, colour profile and resolution"),
    }
    return [
        {"name": name, "in": "query", "schema": schema, "description": what}
        for name, (schema, what) in wanted.items()
    ]
