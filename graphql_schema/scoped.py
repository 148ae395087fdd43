"""Which scope each operation asks for, beside what its resolver says of roles.

What is named nowhere here is for tokens that name no scopes: a limited token is good for what it
was made for, and for nothing that was added since.
"""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLSchema, GraphQLUnionType, get_named_type

from graphql_schema.access import EVERYBODY, require
from graphql_schema.rejections import unfit
from hub.crypto.tokens import Principal, Scope
from hub.errors import Forbidden

FREE = frozenset(
    {"membershipPlans", "programme", "businesses", "rewards", "reward", "me", "node", "nodes"}
)
"""What asks for no scope by itself: what it leads to does."""
SCOPES: dict[Scope, tuple[str, ...]] = {
    Scope.MEMBERS_READ: (
        "member", "members", "memberSearch", "memberByIdentifier", "unreadableDetails",
        "explainMatch", "matchRuns", "proposedAdjustments", "reviewItems", "denials",
        "balanceChanged", "tierChanged", "mySessions", "myPasskeys", "voucherByCode", "quote",
    ),
    Scope.MEMBERS_WRITE: (
        "join", "nameReferrer", "requestVerification", "confirmVerification", "eraseMember",
        "pinAttribute", "unpinAttribute", "acceptReview", "rejectReview", "markNotTheSame",
        "assignReview", "undoReview", "releaseSharedIdentifier", "mergeMembers", "splitMembers",
        "endSessions", "removePasskey", "grantTier", "matchTier", "revokeTier",
        "exportMember", "retainMember", "releaseRetention",
    ),
    Scope.POINTS_REDEEM: ("redeem", "hold", "capture", "void", "restore", "redeemFromPool"),
    Scope.POINTS_GIVE: ("transfer", "openPool", "joinPool", "contributeToPool", "leavePool",
        "claimVoucher", "transferVoucher"),
    Scope.POINTS_ADJUST: (
        "proposeAdjustment", "approveAdjustment", "rejectAdjustment", "extendPoints",
        "reinstatePoints", "recoverReceivable", "assignVoucher", "voidVoucher",
        "grantEntitlement", "revokeEntitlement", "grantToMany", "previewGrant", "benefitCampaign",
        "generateVouchers", "voucherBatches",
    ),
    Scope.BENEFITS_USE: (
        "useEntitlement", "reserveVouchers", "redeemVouchers", "releaseVouchers",
        "cancelVoucherRedemption", "holdBenefit", "useHeld", "releaseHeld", "cancelUse",
        "reserveCart", "redeemCart", "releaseCart", "refundCart",
    ),
    Scope.REWARDS_ORDER: (
        "orderReward", "payRewardOrder", "fulfilRewardOrder", "cancelRewardOrder",
        "returnRewardOrder", "stockReward", "startTrial", "noteMembershipPayment",
        "noteMembershipRefund", "upgradeMembership", "cancelMembership",
    ),
    Scope.CONSENTS_WRITE: ("recordConsent",),
    Scope.SETTLEMENT_READ: (
        "settlementPeriods", "settlementPeriod", "settlementCorrections", "disputes", "journals",
        "elimination", "journalFiles", "redemptionEstimates", "liabilityAgeing", "liability",
        "accountingPolicies", "agreements", "creditStandings", "settlementProgress",
        "voucherCampaigns",
    ),
    Scope.SETTLEMENT_DISPUTE: (
        "openDispute", "addDisputeMessage", "withdrawDispute", "resolveDispute",
    ),
    Scope.SETTLEMENT_CLOSE: (
        "closePeriod", "waiveCheck", "approvePeriod", "issuePeriod", "preparePayments",
        "releasePayments", "markPaid", "proposeCorrection", "approveCorrection",
        "rejectCorrection", "postJournals", "proposeEstimate", "approveEstimate",
        "rejectEstimate", "recognisePeriod", "setAccountingPolicy", "stateOpeningLiability",
    ),
    Scope.RECONCILIATION_READ: (
        "reconciliationMappings", "reconciliationRuns", "reconciliationSuggestions",
        "reconciliationBreaks", "reconciliationAgeing",
    ),
    Scope.RECONCILIATION_WRITE: (
        "reconcile", "confirmMatch", "rejectMatch", "investigateBreak", "matchBreak",
        "adjustBreak", "writeOffBreak", "resolveBreak", "reopenBreak", "stateOccupancy",
    ),
    Scope.EVENTS: (
        "webhookSubscriptions", "webhookDeliveries", "redeliverWebhooks", "deliveries",
        "replayDeliveries", "pullStreams", "backfillConnection",
    ),
    Scope.ADMIN: (
        "rankSources", "clients", "createClient", "rotateClientSecret", "disableClient",
    ),
}  # fmt: skip
_ASKED = {name: scope for scope, names in SCOPES.items() for name in names}


def is_open(name: str, principal: Principal | None) -> bool:
    """Return whether the caller's scopes let it ask for the operation called `name`."""
    if principal is None or principal.scopes is None or name in FREE or name.startswith("__"):
        return True
    return name in _ASKED and principal.may(_ASKED[name])


def guard(schema: GraphQLSchema) -> None:
    """Have every operation of a schema look at the caller's scopes before it begins."""
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for name, field in (root.fields if root else {}).items():
            answer = get_named_type(field.type)
            union = isinstance(answer, GraphQLUnionType) and "Forbidden" in {
                one.name for one in answer.types
            }
            if field.subscribe is not None:
                field.subscribe = _guarded(field.subscribe, name, told=False)
            elif field.resolve is not None:
                field.resolve = _guarded(field.resolve, name, told=union)


def _guarded(resolve: Callable[..., Any], name: str, *, told: bool) -> Callable[..., Any]:
    """Refuse first; `told`: as an answer, not as an error."""

    def guarded(source: Any, info: Any, **arguments: Any) -> Any:
        done, principal = info.context.done, info.context.principal
        if done is not None:  # nothing is done twice
            return done.result()
        if not is_open(name, principal):
            try:
                require(principal, *EVERYBODY, scope=_ASKED.get(name))
                raise Forbidden("the token names scopes, and this is in none of them")
            except Forbidden as no:
                if told:
                    return unfit(no)
                raise
        return resolve(source, info, **arguments)

    return guarded
