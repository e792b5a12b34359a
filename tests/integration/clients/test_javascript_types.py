"""The TypeScript types of cto-progress describe the gateway's OpenAPI document."""

from __future__ import annotations

import json
import subprocess

from support.javascript import APPS, CLIENT, NODE

from api.errors import ERRORS
from api.spec import openapi


def test_the_types_of_requests_and_responses_are_those_of_the_openapi_document():
    document = json.dumps(openapi.document()).encode()
    done = subprocess.run([NODE, "types.js"], cwd=APPS, input=document, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    committed = (CLIENT / "declarations" / "openapi.d.ts").read_text()
    assert committed == done.stdout.decode(), "run `make types`"


def test_the_union_of_error_codes_has_every_code():
    codes = openapi.document()["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    assert codes == list(ERRORS)
