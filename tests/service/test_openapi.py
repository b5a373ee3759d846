"""The interface is what its OpenAPI document says, and answers whatever comes with no fault of its own."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from deepfake_detector.service.examples import DONE, QUEUED
from deepfake_detector.service.problems import CODES
from deepfake_detector.service.records import AnalysisOut, BatchOut

pytestmark = pytest.mark.timeout(1800)  # hundreds of requests, which a busy machine answers slowly

EXAMPLES = 8
"""For each route and mode."""

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_no_request_brings_about_a_fault(server, mode):
    """Each route is asked what its description allows, and what it does not; the answers are as described."""
    document = schemathesis.openapi.from_url(f"{server.address}/v1/openapi.json")
    asked = []
    for operation in (result.ok() for result in document.get_all_operations()):
        described = operation.definition.raw
        if operation.path.endswith("/events"):  # a stream does not end while a job waits
            continue
        if mode is GenerationMode.NEGATIVE and not (described.get("parameters") or described.get("requestBody")):
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        def ask(case):
            case.validate_response(case.call(timeout=120), checks=CHECKS)

        ask()
        asked.append(operation.path)
    assert len(asked) >= 8


def test_the_examples_are_what_the_schema_says():
    assert AnalysisOut.model_validate(DONE).state == "done"
    assert BatchOut.model_validate(QUEUED).analyses[0].state == "queued"


def test_every_problem_in_the_document_is_in_the_list(http):
    document = http.get("/v1/openapi.json").json()
    described = {
        status
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if "application/problem+json" in response.get("content", {})
    }
    assert described <= {str(status) for status, _ in CODES.values()}
    assert "ProblemDetails" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


@given(data=st.data())
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_mutated_files_bring_down_nothing(http, seeds, eventually, data):
    content = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        content = content or bytearray(b"x")
    response = http.post("/v1/analyses", files={"file": ("mutated", bytes(content))})
    assert response.status_code in (200, 202, 413, 415, 422), response.text
    body = response.json()
    if response.status_code == 202:  # it now looks like a video
        link = body["analyses"][0]["links"]["self"]
        body = eventually(lambda: (one := http.get(link).json())["finished"] and (one["error"] or one))
    assert body.get("code") not in ("analysis_crashed", "timeout"), body
