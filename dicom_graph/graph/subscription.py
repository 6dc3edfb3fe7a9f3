"""The subscription root."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from dicom_graph.errors import BadInput
from dicom_graph.graph.computed import subscription_field
from dicom_graph.graph.context import Info, Loaders
from dicom_graph.graph.types.import_job import ImportJob
from dicom_graph.store.global_ids import split_global_id
from dicom_graph.store.jobs.jobs import JobStatus


@strawberry.type(description="Everything that can be followed.")
class Subscription:
    @subscription_field("An import each time it has moved on, first as it is now; ends with it.")
    async def import_progress(
        self,
        info: Info,
        job_id: Annotated[strawberry.ID, strawberry.argument(description="The job's global id.")],
    ) -> AsyncGenerator[ImportJob, None]:
        type_name, key = split_global_id(job_id)
        if type_name != "ImportJob":
            raise BadInput(f"{job_id!r} is the id of a {type_name}, not of an import job")
        store = info.context.store
        moments = store.jobs.follow(key)
        try:
            async for moment in moments:
                if moment.row is None:
                    raise BadInput("there is no such import job")
                info.context.loaders = moment.shared.setdefault("loaders", Loaders(store))
                yield ImportJob.from_row(moment.row)
                if JobStatus(moment.row.status).is_final:
                    return
        finally:
            await moments.aclose()
