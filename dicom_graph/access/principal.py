"""Roles, and the user whom a request comes from."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from dicom_graph.store.accounts import TokenRow, UserRow


class Role(IntEnum):
    """What somebody may do; each role may also do what those before it may."""

    NOBODY = 0
    """Nothing."""
    VIEWER = 1
    """Read."""
    IMPORTER = 2
    """Import and upload."""
    EDITOR = 3
    """Change, delete and refresh what is stored."""
    ADMIN = 4
    """Users, tokens, pruning and the audit log."""


class Ungrouped(StrEnum):
    """What viewers who are in no group see."""

    AUTO = "auto"
    """Nothing once there is a group; until then everything."""
    ALL = "all"
    NOTHING = "nothing"

    def hides(self, role: Role, *, has_groups: bool) -> bool:
        """Whether users of this role who are in no group see nothing."""
        if role > Role.VIEWER or self is Ungrouped.ALL:
            return False
        return has_groups or self is Ungrouped.NOTHING


@dataclass(frozen=True, slots=True)
class Principal:
    """The user whom a request comes from.

    `groups`: ids of the groups whose patients and studies alone it sees; None sees everything.
    `group_names`: what these are called. `deidentified`: it sees no identities. `token_id`: the
    token that it came with, if any.
    """

    name: str
    role: Role
    groups: tuple[int, ...] | None = None
    deidentified: bool = False
    user_id: int | None = None
    token_id: int | None = None
    group_names: tuple[str, ...] = ()

    @property
    def is_limited(self) -> bool:
        """Whether it sees only what its groups are granted."""
        return self.groups is not None


EVERYONE = Principal("everyone", Role.ADMIN)
"""Whoever reaches a server that asks nobody for a name, and code that runs without a server."""

NOBODY = Principal("nobody", Role.NOBODY)
"""Who has not said yet who they are."""


def principal_of(user: UserRow, ungrouped: Ungrouped = Ungrouped.AUTO) -> Principal:
    """The principal of a user."""
    return Principal(
        user.name, Role[user.role], _groups_of(user, ungrouped), user.deidentified, user.id,
        group_names=user.group_names,
    )  # fmt: skip


def role_of_token(own: str, of_user: str) -> Role:
    """Returns what a token may: no more than its user."""
    return min(Role[own], Role[of_user])


def principal_of_token(token: TokenRow, ungrouped: Ungrouped = Ungrouped.AUTO) -> Principal:
    """The principal of a token: it may what both the token and its user may."""
    user = token.user
    role = role_of_token(token.role, user.role)
    deidentified = token.deidentified or user.deidentified
    return Principal(
        user.name, role, _groups_of(user, ungrouped), deidentified, user.id, token.id,
        user.group_names,
    )  # fmt: skip


def _groups_of(user: UserRow, ungrouped: Ungrouped) -> tuple[int, ...] | None:
    """The groups that limit a user, by its own role also where a token has a lesser one."""
    is_outside = user.groups is None and not user.in_group
    if is_outside and ungrouped.hides(Role[user.role], has_groups=user.has_groups):
        return ()
    return user.groups
