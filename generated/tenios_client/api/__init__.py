# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
"""Contains methods for accessing the API"""
