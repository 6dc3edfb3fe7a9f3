"""The operations of a WebSocket: graphql-transport-ws, so many at a time."""

from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage

from dicom_graph.graph.context import Context
from dicom_graph.graph.errors import Overloaded


class SocketOperations(BaseGraphQLTransportWSHandler[Context, None]):
    """Answers the messages of one WebSocket."""

    async def handle_message(self, message: Message) -> None:
        """A message; one that is none of the protocol ends the WebSocket (4400)."""
        if _is_message(message):
            await super().handle_message(message)
        else:
            await self.handle_invalid_message("Failed to parse message")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation, unless so many run already."""
        limit, id = self.max_subscriptions_per_connection or 0, message["id"]
        is_new = self.connection_acknowledged and id not in self.operations
        if is_new and len(self.operations) >= limit:
            text = f"{limit} operations run on this WebSocket (DICOM_GRAPH_MAX_OPERATIONS)"
            await self.send_message(
                {"id": id, "type": "error", "payload": [Overloaded(text).formatted]}
            )
            return
        await super().handle_subscribe(message)

    async def handle_task_exception(self, error: Exception) -> None:
        """An operation ended with an error; that its client is gone is none."""
        if not isinstance(error, WebSocketDisconnected):
            await super().handle_task_exception(error)

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """A mistake in one operation does not end the others of its WebSocket."""
        return None


def _is_message(message: object) -> bool:
    """Whether the parts that are looked at have the types of the protocol."""
    if not isinstance(message, dict) or not isinstance(message.get("id", ""), str):
        return False
    if message.get("type") != "subscribe":
        return True
    payload = message.get("payload")
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )
