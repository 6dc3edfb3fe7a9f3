"""An entity of the tests' own, the device of a series, from its description to an answer.

What it is described by stands in one class; all else here is what any entity has once, whatever its
fields are: a table, a type, a list, an update. It lives in a process of its own, for tables and
kinds of objects are known to all of a process.
"""

# ruff: noqa: I001
from tests.graph.own_device import DEVICE, LaterDeviceFields

import asyncio
import datetime as dt
import json
import sys
from typing import Any

import strawberry
from sqlalchemy import insert
from strawberry.schema.config import StrawberryConfig

from dicom_graph.access.principal import EVERYONE, Principal, Role
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Context, Info
from dicom_graph.graph.described import described_by, plain_fields, update_input
from dicom_graph.graph.fields import columns, edited_fields, root_list
from dicom_graph.graph.inputs.clauses import filter_input
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.inputs.orders import order_input
from dicom_graph.graph.mutations.payload import UserError
from dicom_graph.graph.mutations.update import update_fields
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.graph.registry import Entity as Kind
from dicom_graph.graph.scalars import SCALARS
from dicom_graph.importing.background import JobRunner
from dicom_graph.services import Services
from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Order, Store
from dicom_graph.store.read.relations import DEFAULT_ORDERS, ENTITY_TABLES
from dicom_graph.store.tables.base import Base
from dicom_graph.store.tables.entities import DESCRIBED_TABLES, Entity
from dicom_graph.store.views.deidentified import COLUMNS
from dicom_graph.store.views.deidentified_columns import entity_columns


class DeviceTable(Entity, described=DEVICE):
    __tablename__ = "device"


ENTITY_TABLES["device"] = DESCRIBED_TABLES["device"]
DEFAULT_ORDERS["device"] = (Order("id"),)
COLUMNS["device"] = entity_columns(DEVICE)


@filter_input("Which devices.", type_name="Device", described=DEVICE)
class DeviceFilter:
    pass


ENTITIES["device"] = Kind(
    "device",
    f"{__name__}.Device",
    DeviceFilter,
    order_input("Device", {}, described=DEVICE),
    described=DEVICE,
)
_PLAIN = plain_fields(DEVICE)


@described_by(DEVICE)
@strawberry.type(description="A device.")
class Device(LaterDeviceFields, Node):
    created: dt.datetime
    modified: dt.datetime
    edited_fields: list[FieldName]

    @classmethod
    def from_row(cls, row: Any) -> "Device":
        fields = columns(row, _PLAIN)
        return cls(id=global_id("Device", row.id), edited_fields=edited_fields(row), **fields)


@update_input(DEVICE, "What is to be changed of a device.")
class UpdateDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device's global id.")


@strawberry.type
class UpdateDevicePayload:
    device: Device | None
    errors: list[UserError]


@strawberry.type
class Query:
    devices: Connection[Device] = root_list("device", "All devices.")


@strawberry.type
class Mutation:
    @computed("Change fields of a device.")
    async def update_device(self, info: Info, input: UpdateDeviceInput) -> UpdateDevicePayload:
        row, errors = await update_fields(info, "device", input)
        return UpdateDevicePayload(device=row and Device.from_row(row), errors=errors)


# Not before the entity is known: the executor imports the names of all fields.
from dicom_graph.graph.execution.executor import MemoizingExecutor  # noqa: E402

SCHEMA = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    config=StrawberryConfig(scalar_map=dict(SCALARS)),
    execution_context_class=MemoizingExecutor,
)
BLIND = Principal("blind", Role.VIEWER, deidentified=True)
NODES = """nodes { id uid stationName tubeCurrent calibrated calibratedAt kernels focalSpots
  nickname voltage editedFields }"""


def fill(database: Database, paths: list[str]) -> None:
    """Make the table, as a migration would, and put in what the files say."""
    upgrade(database)
    table = ENTITY_TABLES["device"]
    with database.writer.begin() as connection:
        Base.metadata.create_all(connection, tables=[table])
        for path in paths:
            by_tag = {e.tag: e for e in read_instance(path, Interner()).elements}
            fields = DEVICE.read(by_tag) | {"nickname": None}
            connection.execute(insert(table).values(fields))


async def asked(database: Database, operations: list[dict[str, Any]]) -> list[Any]:
    """The data, or the codes of errors, of operations: queries with variables and who asks."""
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))
    found = []
    for operation in operations:
        who = BLIND if operation.get("blind") else EVERYONE
        result = await SCHEMA.execute(
            operation["query"].replace("NODES", NODES),
            variable_values=operation.get("variables"),
            context_value=Context.of(services, who),
        )
        errors = [str(error) for error in result.errors or ()]
        found.append(errors or result.data)
    await database.close()
    return found


def main() -> None:
    """Print the schema and the answers to the operations on standard input, as JSON."""
    database = Database(sys.argv[1])
    fill(database, sys.argv[2:])
    answers = asyncio.run(asked(database, json.load(sys.stdin)))
    database.close_writer()
    print(json.dumps({"schema": SCHEMA.as_str(), "answers": answers}, default=str))
