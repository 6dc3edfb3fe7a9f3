"""The mutation root."""

import strawberry

from dicom_graph.graph.mutations.create import CreateMutations
from dicom_graph.graph.mutations.delete import DeleteMutations
from dicom_graph.graph.mutations.import_jobs import JobMutations
from dicom_graph.graph.mutations.import_path import ImportMutations
from dicom_graph.graph.mutations.move import MoveMutations
from dicom_graph.graph.mutations.protocols import ProtocolMutations
from dicom_graph.graph.mutations.refresh import RefreshMutations
from dicom_graph.graph.mutations.store_files import StoreFilesMutations
from dicom_graph.graph.mutations.update import UpdateMutations
from dicom_graph.graph.mutations.upload import UploadMutations


@strawberry.type(description="Everything that can be done.")
class Mutation(
    ImportMutations,
    JobMutations,
    UploadMutations,
    CreateMutations,
    UpdateMutations,
    MoveMutations,
    DeleteMutations,
    RefreshMutations,
    StoreFilesMutations,
    ProtocolMutations,
):
    pass
