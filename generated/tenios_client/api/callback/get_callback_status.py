# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.callback_error import CallbackError
from ...models.callback_status_request import CallbackStatusRequest
from ...models.callback_status_response import CallbackStatusResponse
from ...types import Response


def _get_kwargs(
    *,
    body: CallbackStatusRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/callback/status",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> CallbackError | CallbackStatusResponse:
    if response.status_code == 200:
        response_200 = CallbackStatusResponse.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = CallbackError.from_dict(response.json())

        return response_400

    if response.status_code == 403:
        response_403 = CallbackError.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = CallbackError.from_dict(response.json())

        return response_404

    if response.status_code == 500:
        response_500 = CallbackError.from_dict(response.json())

        return response_500

    response_default = CallbackError.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[CallbackError | CallbackStatusResponse]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: CallbackStatusRequest,
) -> Response[CallbackError | CallbackStatusResponse]:
    """Get the status of a callback

     Returns the current status of a callback. This operation changes nothing and can be repeated
    *(inferred)*.

    POST was chosen because TENIOS's table for this method, its general documentation and its own
    clients use it, while
    one sentence of its [documentation](https://www.tenios.de/en/doc/api-callback) says GET.

    Args:
        body (CallbackStatusRequest): The callback whose status to return.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CallbackError | CallbackStatusResponse]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: CallbackStatusRequest,
) -> CallbackError | CallbackStatusResponse | None:
    """Get the status of a callback

     Returns the current status of a callback. This operation changes nothing and can be repeated
    *(inferred)*.

    POST was chosen because TENIOS's table for this method, its general documentation and its own
    clients use it, while
    one sentence of its [documentation](https://www.tenios.de/en/doc/api-callback) says GET.

    Args:
        body (CallbackStatusRequest): The callback whose status to return.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CallbackError | CallbackStatusResponse
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: CallbackStatusRequest,
) -> Response[CallbackError | CallbackStatusResponse]:
    """Get the status of a callback

     Returns the current status of a callback. This operation changes nothing and can be repeated
    *(inferred)*.

    POST was chosen because TENIOS's table for this method, its general documentation and its own
    clients use it, while
    one sentence of its [documentation](https://www.tenios.de/en/doc/api-callback) says GET.

    Args:
        body (CallbackStatusRequest): The callback whose status to return.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CallbackError | CallbackStatusResponse]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: CallbackStatusRequest,
) -> CallbackError | CallbackStatusResponse | None:
    """Get the status of a callback

     Returns the current status of a callback. This operation changes nothing and can be repeated
    *(inferred)*.

    POST was chosen because TENIOS's table for this method, its general documentation and its own
    clients use it, while
    one sentence of its [documentation](https://www.tenios.de/en/doc/api-callback) says GET.

    Args:
        body (CallbackStatusRequest): The callback whose status to return.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CallbackError | CallbackStatusResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
