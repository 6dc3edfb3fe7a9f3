"""Reading an entity's files again."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.mutations.payload import (
    Refused,
    UserError,
    entity_and_key,
    gone,
)
from dicom_graph.graph.types.import_job import ImportJob
from dicom_graph.importing.entities import NoFilesError, NoSuchEntityError, request_refresh

_field = strawberry.field
_MAX_FIELDS = 100


@strawberry.input(description="What is to be read again, and which edits are to go.")
class RefreshInput:
    id: strawberry.ID = _field(description="The global id of a patient, study, series or image.")
    discard_edits: bool = _field(
        default=False,
        description="Give fields of this object that a person has set back to the files. "
        "`editedFields` no longer lists them at once; their values come when the import is done.",
    )
    fields: list[FieldName] | None = _field(
        default=None,
        description="With `discardEdits`: only these fields, as in `editedFields`; all if not "
        "given.",
    )
    exclude: list[FieldName] | None = _field(
        default=None,
        description="Fields of this object that stay as they are, whatever its files say: this "
        "refresh writes only the others. An edit among them stays an edit.",
    )


@strawberry.type(description="What became of `refresh`.")
class RefreshPayload:
    job: ImportJob | None = _field(
        description="The import that reads the files, waiting or running; null on error."
    )
    errors: list[UserError] = _field(description="Empty where all is well.")


_Input = Annotated[RefreshInput, strawberry.argument(description="What is to be read again.")]


@strawberry.type
class RefreshMutations:
    @computed(
        "Read the files of a patient, study, series or image again, also unchanged ones, and "
        "write what they say now; returns at once, follow it by `importProgress`. What a person "
        "has set stays, unless `discardEdits`."
    )
    async def refresh(self, info: Info, input: _Input) -> RefreshPayload:
        services = info.context.services
        try:
            entity, key = entity_and_key(input.id, *DESCRIBED)
            # For the audit log: whom it is about.
            await info.context.store.by_ids(entity, [key])
            job_id = await asyncio.to_thread(
                request_refresh,
                services.store.database,
                entity,
                key,
                discard=input.discard_edits,
                columns=_discarded(entity, input.fields, input.discard_edits),
                exclude=_columns(entity, input.exclude, "exclude") or (),
            )
        except Refused as refused:
            return RefreshPayload(job=None, errors=[refused.error])
        except NoSuchEntityError:
            return RefreshPayload(job=None, errors=[gone(entity).error])
        except NoFilesError as error:
            return RefreshPayload(
                job=None, errors=[Refused(str(error), "id", ErrorCode.NO_FILES).error]
            )
        services.runner.wake()
        info.context.loaders.forget()
        row = await info.context.loaders.entity("import_job").load(job_id)
        return RefreshPayload(job=ImportJob.from_row(row), errors=[])


def _discarded(entity: str, given: Sequence[Any] | None, discard: bool) -> frozenset[str] | None:
    """The columns whose edits go, None for all. Raises Refused."""
    if given is not None and not discard:
        raise Refused("`fields` goes with `discardEdits`", "fields", ErrorCode.BAD_FIELD)
    return _columns(entity, given, "fields")


def _columns(entity: str, given: Sequence[Any] | None, argument: str) -> frozenset[str] | None:
    """The columns of the fields that an argument names. Raises Refused."""
    if given is None:
        return None
    if len(given) > _MAX_FIELDS:
        message = f"at most {_MAX_FIELDS} fields can be named"
        raise Refused(message, argument, ErrorCode.BAD_FIELD)
    known = {each.name for each in DESCRIBED[entity].editable}
    for field in given:
        if field.value not in known:
            message = f"{field.name} is no field of a {entity} that can be edited"
            raise Refused(message, argument, ErrorCode.BAD_FIELD)
    return frozenset(field.value for field in given)
