"""Which role may do what. The one place that decides; what is not named here needs an admin.

A root field of the schema is `Type.field`. Queries and subscriptions that read are for every role
and need no line; a mutation without one needs an admin, and so does a route.
"""

from dataclasses import dataclass

from dicom_graph.access.principal import Principal, Role


@dataclass(frozen=True, slots=True)
class Need:
    """What a principal needs. `unlimited`: that it is limited to no groups."""

    role: Role
    unlimited: bool = False


PUBLIC_ROUTES = frozenset({"/healthz", "/readyz", "/login", "/static"})
"""Paths that ask nobody for a name; of `/static` also what lies below."""

_READ = Need(Role.VIEWER)
_ADMIN = Need(Role.ADMIN, unlimited=True)
_UNKNOWN = _ADMIN

# What imports bring belongs to no group yet, their reports name paths of all, and an edit or a
# deletion reaches files and rows that several groups may see: none of it is for the limited. Who
# sees no identities may do nothing but read.
_IMPORT = Need(Role.IMPORTER, unlimited=True)
_EDIT = Need(Role.EDITOR, unlimited=True)

ROUTES: dict[str, Need] = {
    "/": _READ,
    "/graphql": _READ,
    "/logout": _READ,
    "/metrics": _READ,
    "/upload": _IMPORT,
    "/images": _READ,
    "/series": _READ,
    **{
        f"/{table}.{form}": _READ
        for table in ("patients", "studies", "series", "images", "elements")
        for form in ("csv", "parquet", "arrow")
    },
    "/series.zip": _READ,
    "/studies": _READ,
    "/patients": _READ,
    "/headers": _READ,
    "/elements": _READ,
    "/search": _READ,
    "/compare": _READ,
    "/explore": _READ,
    "/imports": _READ,
    "/quality": _READ,
}
"""By the first part of the path."""

FIELDS: dict[str, Need] = {
    "Query.auditEntries": _ADMIN,
    # What a protocol was made of, and its values, may be of patients that others must not see.
    "Query.protocols": Need(Role.VIEWER, unlimited=True),
    "Mutation.createProtocol": _EDIT,
    "Mutation.updateProtocol": _EDIT,
    "Mutation.deleteProtocol": _EDIT,
    "Query.importRoots": _IMPORT,
    "Query.importFolder": _IMPORT,
    "Mutation.importPath": _IMPORT,
    "Mutation.uploadImages": _IMPORT,
    "Mutation.cancelImport": _IMPORT,
    "Mutation.retryImport": _IMPORT,
    "Mutation.syncPath": _EDIT,
    "Mutation.createPatient": _EDIT,
    "Mutation.createStudy": _EDIT,
    "Mutation.createSeries": _EDIT,
    "Mutation.moveStudy": _EDIT,
    "Mutation.moveSeries": _EDIT,
    "Mutation.updatePatient": _EDIT,
    "Mutation.updateStudy": _EDIT,
    "Mutation.updateSeries": _EDIT,
    "Mutation.updateImage": _EDIT,
    "Mutation.deletePatient": _EDIT,
    "Mutation.deleteStudy": _EDIT,
    "Mutation.deleteSeries": _EDIT,
    "Mutation.deleteImage": _EDIT,
    "Mutation.refresh": _EDIT,
    "Mutation.storeFiles": _EDIT,
    "Subscription.importProgress": Need(Role.VIEWER, unlimited=True),
}


def is_public(path: str) -> bool:
    """Whether a path is for everybody."""
    return _first_part(path) in PUBLIC_ROUTES


def need_of_route(path: str) -> Need:
    """What a path needs."""
    return ROUTES.get(_first_part(path), _UNKNOWN)


def need_of_field(type_name: str, field: str) -> Need:
    """What a root field of the schema needs."""
    return FIELDS.get(f"{type_name}.{field}", _READ if type_name == "Query" else _UNKNOWN)


def refusal(principal: Principal, need: Need, what: str) -> str | None:
    """Why a principal may not do something, for a person; None where it may."""
    if principal.role is Role.NOBODY:
        return "log in first"
    if principal.deidentified and need != _READ:
        return f"{what} is for users who see identities; {principal.name} may only read"
    if principal.role < need.role:
        wanted, own = need.role.name.lower(), principal.role.name.lower()
        article = "an" if wanted[0] in "aei" else "a"
        return f"{what} needs {article} {wanted}; {principal.name} is {own}"
    if need.unlimited and principal.is_limited:
        return f"{what} is for users who see everything; {principal.name} is limited to groups"
    return None


def _first_part(path: str) -> str:
    return "/" + path.strip("/").partition("/")[0]
