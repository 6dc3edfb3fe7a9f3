"""The mutation root."""

import strawberry

from dicom_graph.graph.import_mutations import ImportMutations


@strawberry.type(description="Everything that can be done.")
class Mutation(ImportMutations):
    pass
