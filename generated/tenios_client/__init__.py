# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
"""A client library for accessing TENIOS Callback API (unofficial)"""

from .client import AuthenticatedClient, Client

__all__ = (
    "AuthenticatedClient",
    "Client",
)
