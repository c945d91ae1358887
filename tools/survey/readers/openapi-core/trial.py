"""Fail unless openapi-core accepts a response with a status that the contract does not list."""

import sys

from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

document = OpenAPI.from_file_path(sys.argv[1])
request = MockRequest(
    "http://127.0.0.1:8311",
    "post",
    "/callback/status",
    data=b'{"access_key": "KEY", "id": 10}',
    content_type="application/json",
)
document.validate_request(request)
response = MockResponse(b'{"status": "QUEUED_A"}', content_type="application/json")
document.validate_response(request, response)
