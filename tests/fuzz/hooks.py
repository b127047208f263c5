"""What schemathesis is told beside the description: things that are there, so that calls get past "not found".

Loaded by schemathesis in its own process (SCHEMATHESIS_HOOKS). Only what fits the description is replaced.
"""

import json
import os
from typing import Any

import schemathesis

THERE: dict[str, list[Any]] = json.loads(os.environ["ZHIPEI_TEST_THERE"])
"""By the name of a parameter or field: what exists."""
MOST_ID = 2**63 - 1


def _known(name: str, value: Any) -> Any:
    """Something that is there in place of ``value``, the same for the same; every eighth stays as it is."""
    there = THERE.get(name)
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if name == "code" and isinstance(value, str):
        number = sum(value.encode(errors="replace"))
    if not there or number is None or not 0 < number <= MOST_ID or number % 8 == 7:
        return value
    return there[number % len(there)]


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    return (
        {name: _known(name, value) for name, value in path_parameters.items()} if path_parameters else path_parameters
    )


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    return {name: _known(name, value) for name, value in body.items()} if isinstance(body, dict) else body


@schemathesis.hook
def map_headers(context: schemathesis.HookContext, headers: Any) -> Any:
    """An If-Match that was made up is stale: that is tried, but not always."""
    if headers and isinstance(headers.get("If-Match"), str) and len(headers["If-Match"]) % 3:
        headers["If-Match"] = "*"
    return headers
