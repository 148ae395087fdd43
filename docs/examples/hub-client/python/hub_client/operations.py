"""Written by generate.py: do not edit.

Amounts of points are integers; dates, times and decimals are texts, as they are sent.
"""

from typing import Literal, NotRequired, TypeAlias, TypedDict

from hub_client.operation import Operation


EntryKind: TypeAlias = Literal["EARN", "REDEEM", "CLAWBACK", "EXPIRE", "RESTORE", "REINSTATE", "ADJUST", "TRANSFER", "OPENING", "MERGE", "SPLIT"]


class IdentifierPhone(TypedDict):
    phone: str


class IdentifierEmail(TypedDict):
    email: str


class IdentifierLoyaltyId(TypedDict):
    loyaltyId: str


Identifier: TypeAlias = IdentifierPhone | IdentifierEmail | IdentifierLoyaltyId


class MemberKeyId(TypedDict):
    id: str


class MemberKeyPhone(TypedDict):
    phone: str


class MemberKeyEmail(TypedDict):
    email: str


class MemberKeyLoyaltyId(TypedDict):
    loyaltyId: str


MemberKey: TypeAlias = (
    MemberKeyId
    | MemberKeyPhone
    | MemberKeyEmail
    | MemberKeyLoyaltyId
)


class RedeemInput(TypedDict):
    member: MemberKey
    points: int
    idempotencyKey: str
    business: NotRequired[str | None]
    billMinor: NotRequired[int | None]
    award: NotRequired[str | None]
    category: NotRequired[str | None]


EntryFilter = TypedDict(
    "EntryFilter",
    {
        "business": NotRequired[str | None],
        "kinds": NotRequired[list[EntryKind] | None],
        "from": NotRequired[str | None],
        "until": NotRequired[str | None],
    },
)


class EntriesMemberEntriesNodesBusiness(TypedDict):
    code: str


class EntriesMemberEntriesNodes(TypedDict):
    id: str
    kind: EntryKind
    points: int
    businessDate: str
    occurredAt: str
    business: EntriesMemberEntriesNodesBusiness


class EntriesMemberEntriesPageInfo(TypedDict):
    hasNextPage: bool
    endCursor: str | None


class EntriesMemberEntries(TypedDict):
    nodes: list[EntriesMemberEntriesNodes]
    pageInfo: EntriesMemberEntriesPageInfo


class EntriesMember(TypedDict):
    id: str
    entries: EntriesMemberEntries


class EntriesVariables(TypedDict):
    member: str
    filter: NotRequired[EntryFilter | None]
    first: int
    after: NotRequired[str | None]


class EntriesResult(TypedDict):
    member: EntriesMember | None


ENTRIES: Operation[EntriesVariables, EntriesResult] = Operation(
    "Entries",
    """
query Entries($member: ID!, $filter: EntryFilter, $first: Int!, $after: String) {
  member(id: $member) {
    id
    entries(filter: $filter, first: $first, after: $after) {
      nodes {
        id
        kind
        points
        businessDate
        occurredAt
        business {
          code
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
""",
)


class FindMemberMemberByIdentifierTier(TypedDict):
    code: str | None
    name: str | None


class FindMemberMemberByIdentifierBalance(TypedDict):
    available: int
    held: int


class FindMemberMemberByIdentifier(TypedDict):
    id: str
    number: str
    displayName: str | None
    tier: FindMemberMemberByIdentifierTier
    balance: FindMemberMemberByIdentifierBalance


class FindMemberVariables(TypedDict):
    presented: Identifier


class FindMemberResult(TypedDict):
    memberByIdentifier: FindMemberMemberByIdentifier | None


FIND_MEMBER: Operation[FindMemberVariables, FindMemberResult] = Operation(
    "FindMember",
    """
query FindMember($presented: Identifier!) {
  memberByIdentifier(presented: $presented) {
    id
    number
    displayName
    tier {
      code
      name
    }
    balance {
      available
      held
    }
  }
}
""",
)


RedeemRedeemRedeemed = TypedDict(
    "RedeemRedeemRedeemed",
    {
        "__typename": Literal["Redeemed"],
        "transaction": str,
        "points": int,
        "available": int,
    },
)


RedeemRedeemInsufficientPoints = TypedDict(
    "RedeemRedeemInsufficientPoints",
    {
        "__typename": Literal["InsufficientPoints"],
        "message": str,
        "available": int,
    },
)


RedeemRedeemPointsNotAccepted = TypedDict(
    "RedeemRedeemPointsNotAccepted",
    {
        "__typename": Literal["PointsNotAccepted"],
        "message": str,
        "nearestPoints": int,
    },
)


RedeemRedeemMemberUnknown = TypedDict(
    "RedeemRedeemMemberUnknown",
    {
        "__typename": Literal["MemberUnknown"],
        "message": str,
    },
)


RedeemRedeemIdempotencyConflict = TypedDict(
    "RedeemRedeemIdempotencyConflict",
    {
        "__typename": Literal["IdempotencyConflict"],
        "message": str,
        "field": str,
    },
)


RedeemRedeemInvalidInput = TypedDict(
    "RedeemRedeemInvalidInput",
    {
        "__typename": Literal["InvalidInput"],
        "message": str,
        "field": str,
    },
)


RedeemRedeemForbidden = TypedDict(
    "RedeemRedeemForbidden",
    {
        "__typename": Literal["Forbidden"],
        "message": str,
    },
)


RedeemRedeem: TypeAlias = (
    RedeemRedeemRedeemed
    | RedeemRedeemInsufficientPoints
    | RedeemRedeemPointsNotAccepted
    | RedeemRedeemMemberUnknown
    | RedeemRedeemIdempotencyConflict
    | RedeemRedeemInvalidInput
    | RedeemRedeemForbidden
)


class RedeemVariables(TypedDict):
    input: RedeemInput


class RedeemResult(TypedDict):
    redeem: RedeemRedeem


REDEEM: Operation[RedeemVariables, RedeemResult] = Operation(
    "Redeem",
    """
mutation Redeem($input: RedeemInput!) {
  redeem(input: $input) {
    __typename
    ... on Redeemed {
      transaction
      points
      available
    }
    ... on Rejection {
      message
    }
    ... on InsufficientPoints {
      available
    }
    ... on PointsNotAccepted {
      nearestPoints
    }
    ... on IdempotencyConflict {
      field
    }
    ... on InvalidInput {
      field
    }
  }
}
""",
)
