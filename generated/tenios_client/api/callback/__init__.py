# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
"""Contains endpoint functions for accessing the API"""
