"""Errors that only GraphQL has."""

from graphql import GraphQLError

from dicom_graph.error_codes import ErrorCode


class Overloaded(GraphQLError):
    """There is no place for an operation: the message says whose limit that is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, extensions={"code": ErrorCode.OVERLOADED})
