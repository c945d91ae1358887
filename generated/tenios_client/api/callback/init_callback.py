# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.callback_error import CallbackError
from ...models.init_callback_request import InitCallbackRequest
from ...models.started_callback import StartedCallback
from ...types import Response


def _get_kwargs(
    *,
    body: InitCallbackRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/callback/init",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> CallbackError | StartedCallback:
    if response.status_code == 200:
        response_200 = StartedCallback.from_dict(response.json())

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
) -> Response[CallbackError | StartedCallback]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: InitCallbackRequest,
) -> Response[CallbackError | StartedCallback]:
    """Start a callback

     Starts a callback. After `delay` seconds TENIOS calls the agent of the callback configuration. When
    the agent has
    answered, TENIOS calls `callback_number` and connects the two. The response is sent before any phone
    rings
    *(inferred)*. How long the phones ring is set in the callback configuration.

    This operation is not idempotent: each request starts another callback *(inferred)*.

    Args:
        body (InitCallbackRequest): The callback to start.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CallbackError | StartedCallback]
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
    body: InitCallbackRequest,
) -> CallbackError | StartedCallback | None:
    """Start a callback

     Starts a callback. After `delay` seconds TENIOS calls the agent of the callback configuration. When
    the agent has
    answered, TENIOS calls `callback_number` and connects the two. The response is sent before any phone
    rings
    *(inferred)*. How long the phones ring is set in the callback configuration.

    This operation is not idempotent: each request starts another callback *(inferred)*.

    Args:
        body (InitCallbackRequest): The callback to start.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CallbackError | StartedCallback
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: InitCallbackRequest,
) -> Response[CallbackError | StartedCallback]:
    """Start a callback

     Starts a callback. After `delay` seconds TENIOS calls the agent of the callback configuration. When
    the agent has
    answered, TENIOS calls `callback_number` and connects the two. The response is sent before any phone
    rings
    *(inferred)*. How long the phones ring is set in the callback configuration.

    This operation is not idempotent: each request starts another callback *(inferred)*.

    Args:
        body (InitCallbackRequest): The callback to start.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CallbackError | StartedCallback]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: InitCallbackRequest,
) -> CallbackError | StartedCallback | None:
    """Start a callback

     Starts a callback. After `delay` seconds TENIOS calls the agent of the callback configuration. When
    the agent has
    answered, TENIOS calls `callback_number` and connects the two. The response is sent before any phone
    rings
    *(inferred)*. How long the phones ring is set in the callback configuration.

    This operation is not idempotent: each request starts another callback *(inferred)*.

    Args:
        body (InitCallbackRequest): The callback to start.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CallbackError | StartedCallback
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
