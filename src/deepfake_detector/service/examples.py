"""Examples for the OpenAPI document; a test holds them against the schema."""

from __future__ import annotations

from typing import Any

_ID = "0f8c1f0e5d7a4b3c9e2d6a1b7c8d9e0f"
_BATCH = "7b1d2c3e4f5a6978b0c1d2e3f4a5b6c7"
_SHA256 = "011901a3c2f8e7d6b5a4938271605f4e3d2c1b0a99887766554433221100ffee"
_MODEL_SHA256 = "215db28e50ff8b555814aca49862dfa488b56576a2ab6d9dba318d90adb40356"


def _summary(state: str) -> dict[str, Any]:
    done = state == "done"
    place = f"/v1/analyses/{_ID}"
    return {
        "id": _ID,
        "batch": _BATCH,
        "state": state,
        "progress": 1.0 if done else 0.0,
        "seconds_left": None,
        "video": False,
        "created": "2026-03-01T12:00:00Z",
        "started": "2026-03-01T12:00:00.004Z" if done else None,
        "finished": "2026-03-01T12:00:00.092Z" if done else None,
        "file": {"name": "portrait.jpg", "bytes": 99308, "sha256": _SHA256, "kept": True},
        "options": {"operating_point": "fpr5", "prior": 0.5, "all_faces": False, "explain": False},
        "verdict": "uncertain" if done else None,
        "p_fake": 0.61 if done else None,
        "error": None,
        "links": {
            "self": place,
            "events": f"{place}/events",
            "batch": f"/v1/batches/{_BATCH}",
            "report": f"{place}/report.html" if done else None,
            "case": f"{place}/case.json" if done else None,
            "forensic": f"{place}/forensic.html" if done else None,
            "preview": f"{place}/preview.jpg" if done else None,
            "frames": None,
            "heatmaps": [None] if done else [],
        },
    }


_FACE = {
    "box": [181.0, 60.8, 86.1, 113.6],
    "landmarks": {
        "left_eye": [204.2, 100.5],
        "right_eye": [247.1, 103.4],
        "nose": [224.6, 124.9],
        "left_mouth": [206.8, 144.7],
        "right_mouth": [242.1, 147.0],
    },
    "confidence": 0.999,
    "quality": {"size": 86.1, "sharpness": 180.2, "brightness": 141.0, "issues": []},
    "logit": 0.45,
    "p_fake": 0.61,
    "verdict": "uncertain",
    "kind": None,
    "considered": True,
}

DONE: dict[str, Any] = _summary("done") | {
    "report": {
        "path": "portrait.jpg",
        "verdict": "uncertain",
        "p_fake": 0.61,
        "kind": None,
        "faces": [_FACE],
        "decision": {
            "operating_point": "fpr5",
            "fpr": 0.05,
            "threshold": 0.81,
            "real_below": 0.42,
            "prior": 0.5,
            "faces": 1,
            "all_faces": False,
        },
        "input": {"sha256": _SHA256, "bytes": 99308, "format": "JPEG", "width": 512, "height": 512},
        "model": {
            "name": "mobilenetv2",
            "version": "0.1.0",
            "sha256": _MODEL_SHA256,
            "license": "LicenseRef-Weights-NonCommercial",
        },
        "warnings": [],
        "timings": {"decode": 0.006, "find": 0.049, "crop": 0.001, "score": 0.007, "decide": 0.0003},
        "error": None,
        "schema_version": "1.0",
    },
    "text": {
        "verdict": "uncertain",
        "probability": "61 %",
        "sentence": "The model cannot tell (score between the limits).",
        "threshold": "A face is called fake from 81 % on and real below 42 %; between them it is uncertain.",
        "faces": [
            {"verdict": "uncertain", "probability": "61 %", "notes": ["score between the limits"], "reasons": []}
        ],
        "map": None,
        "cautions": [],
        "provenance": [],
    },
}
"""An analysis that is done."""

QUEUED: dict[str, Any] = {"batch": _BATCH, "analyses": [_summary("queued")]}
"""What a request led to that is not answered at once."""

CREATE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "minItems": 1,
                        "description": "The pictures: one part named `file` for each.",
                    },
                    "operating_point": {"type": "string", "enum": ["fpr1", "fpr5", "fpr10"], "default": "fpr5"},
                    "prior": {
                        "type": "number",
                        "exclusiveMinimum": 0,
                        "exclusiveMaximum": 1,
                        "default": 0.5,
                        "description": "The share of fakes expected; moves the probabilities, not the verdicts.",
                    },
                    "all_faces": {"type": "boolean", "default": False},
                    "explain": {
                        "type": "boolean",
                        "default": False,
                        "description": "Add heat maps, their words, cautions and provenance; no score changes.",
                    },
                },
                "additionalProperties": False,
            },
            "encoding": {"file": {"contentType": "image/*"}},
        }
    },
}
"""The form of ``POST /v1/analyses``."""
