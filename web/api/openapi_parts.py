"""Parts of the API's OpenAPI description: an operation, a closed object, a reference to a named schema."""

from typing import Any

Schema = dict[str, Any]


def operation(
    name: str, summary: str, answer: str, *, request: Schema | None = None, example: Any = None,
    parameters: list[Schema] | None = None, errors: tuple[int, ...] = (),
) -> Schema:  # fmt: skip
    """One method of one path."""
    responses: Schema = {"200": {"description": "Done", "content": {"application/json": {"schema": ref(answer)}}}}
    for status in sorted({*errors, 429, 503}):  # web/security/limits.py may answer any request with these
        problem = {"application/problem+json": {"schema": ref("Problem")}}
        responses[str(status)] = {"description": "See the problem's title", "content": problem}
    spec: Schema = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        spec["parameters"] = parameters
    if request:
        content = {"application/json": {"schema": request, "example": example}}
        spec["requestBody"] = {"required": True, "content": content}
    return spec


def closed(properties: Schema) -> Schema:
    """An object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
