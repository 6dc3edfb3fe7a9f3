"""Which variables of an operation take files, told before the files are received."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    visit,
)

from dicom_graph.graph.limits.limits import document_limit_exceeded
from dicom_graph.graph.limits.prepared_documents import PreparedDocument
from dicom_graph.services import Limits

FIELD = "uploadImages"
"""The mutation that takes files."""


def file_variables(
    schema: GraphQLSchema,
    query: object,
    operation_name: object,
    variables: Mapping[str, Any],
    limits: Limits,
) -> frozenset[str]:
    """The variables in the arguments of each `uploadImages` that an operation executes.

    None of a document that cannot be read, or that the server does not execute.
    """
    if not isinstance(query, str) or not (limits.documents is None or query in limits.documents):
        return frozenset()
    if document_limit_exceeded(limits, query) is not None:
        return frozenset()
    document = PreparedDocument(schema, query, limits.tokens).document
    operation = _operation(document, operation_name) if document is not None else None
    if document is None or operation is None:
        return frozenset()
    if operation.operation is not OperationType.MUTATION:
        return frozenset()
    return frozenset(_Uploads(document, operation, variables).variables())


def _operation(document: DocumentNode, name: object) -> OperationDefinitionNode | None:
    """The operation of a name; without one, the only one."""
    found = [
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        and (name is None or (node.name is not None and node.name.value == name))
    ]
    return found[0] if len(found) == 1 else None


class _Uploads:
    def __init__(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._operation = operation
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        defaults = {
            node.variable.name.value: node.default_value.value
            for node in operation.variable_definitions or ()
            if isinstance(node.default_value, BooleanValueNode)
        }
        self._values = {**defaults, **variables}

    def variables(self) -> Iterator[str]:
        """The variables in question, some more than once."""
        for field in self._fields(self._operation.selection_set, set()):
            if field.name.value == FIELD:
                for argument in field.arguments or ():
                    yield from _variables(argument)

    def _fields(self, selection: SelectionSetNode, entered: set[str]) -> Iterator[FieldNode]:
        """The fields of the root that are not left out. A fragment is looked into once."""
        for node in selection.selections:
            if self._is_left_out(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in self._fragments and name not in entered:
                    entered.add(name)
                    yield from self._fields(self._fragments[name].selection_set, entered)
            else:
                yield from self._fields(node.selection_set, entered)  # type: ignore[attr-defined]

    def _is_left_out(self, node: SelectionNode) -> bool:
        return any(
            self._value(directive) == (directive.name.value == "skip")
            for directive in node.directives or ()
            if directive.name.value in ("skip", "include")
        )

    def _value(self, directive: DirectiveNode) -> bool | None:
        for argument in directive.arguments or ():
            if isinstance(argument.value, BooleanValueNode):
                return argument.value.value
            if isinstance(argument.value, VariableNode):
                return bool(self._values.get(argument.value.name.value))
        return None


def _variables(node: Node) -> list[str]:
    """The names of the variables below a node."""
    found: list[str] = []

    class Finder(Visitor):
        def enter_variable(self, node: VariableNode, *_: Any) -> None:
            found.append(node.name.value)

    visit(node, Finder())
    return found
