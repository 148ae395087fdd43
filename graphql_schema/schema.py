"""The one schema, with its limits."""

from functools import cache
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter

from graphql_schema.accounting import AccountingMutation, AccountingQuery
from graphql_schema.accounting_policies import (
    AccountingPolicyMutation,
    AccountingPolicyQuery,
)
from graphql_schema.accounts import Account
from graphql_schema.adjusting import AdjustingMutation
from graphql_schema.agreements import AgreementMutation, AgreementQuery
from graphql_schema.awarding import AwardingMutation
from graphql_schema.campaigning import CampaigningMutation, CampaigningQuery
from graphql_schema.carting import CartMutation, CartQuery
from graphql_schema.catalogue import RewardQuery
from graphql_schema.clients import ClientMutation, ClientQuery
from graphql_schema.closing import ClosingMutation
from graphql_schema.correcting import CorrectingMutation, CorrectingQuery
from graphql_schema.deliveries import DeliveryMutation, DeliveryQuery
from graphql_schema.denials import DenialQuery
from graphql_schema.disputing import DisputeQuery, DisputingMutation
from graphql_schema.entries import Entry
from graphql_schema.executing import Fit, HubSchema
from graphql_schema.finding import MemberQuery
from graphql_schema.giving import GivingMutation
from graphql_schema.granting import GrantingMutation
from graphql_schema.history import HistoryQuery
from graphql_schema.holding import HoldingMutation
from graphql_schema.ids import guard_ids
from graphql_schema.joining import JoiningMutation
from graphql_schema.journals import JournalMutation, JournalQuery
from graphql_schema.listing import MemberListQuery
from graphql_schema.matching import MatchingQuery
from graphql_schema.memberships import MembershipQuery
from graphql_schema.mending import MendingMutation
from graphql_schema.merging import MergingMutation
from graphql_schema.nodes import NodeQuery
from graphql_schema.ordering import OrderingMutation
from graphql_schema.paying import PayingMutation
from graphql_schema.periods import SettlementQuery
from graphql_schema.pinning import PinningMutation
from graphql_schema.points import Hold, Lot
from graphql_schema.pooling import PoolingMutation
from graphql_schema.privacy import PrivacyMutation
from graphql_schema.programme import BusinessQuery
from graphql_schema.proposals import AdjustmentQuery
from graphql_schema.pulls import PullMutation, PullQuery
from graphql_schema.reconciling import ReconcilingMutation
from graphql_schema.reconciling_reads import ReconciliationQuery
from graphql_schema.redelivering import WebhookMutation
from graphql_schema.referring import ReferringMutation
from graphql_schema.restoring import RestoringMutation
from graphql_schema.review_queue import ReviewQuery
from graphql_schema.reviewing import ReviewingMutation
from graphql_schema.rewards import RewardOrder
from graphql_schema.rights import RightsMutation
from graphql_schema.rules import ProgrammeQuery
from graphql_schema.scalars import SCALARS
from graphql_schema.scoped import guard
from graphql_schema.selling import SellingMutation
from graphql_schema.sessions import SessionMutation, SessionQuery
from graphql_schema.settlement_corrections import (
    SettlementCorrectionMutation,
    SettlementCorrectionQuery,
)
from graphql_schema.spending import SpendingMutation
from graphql_schema.stocking import StockingMutation
from graphql_schema.subscribing import Subscription
from graphql_schema.using import UsingMutation
from graphql_schema.verifying import VerifyingMutation
from graphql_schema.voucher_batches import VoucherBatchMutation, VoucherBatchQuery
from graphql_schema.voucher_keeping import VoucherKeepingMutation
from graphql_schema.vouchering import VoucheringMutation
from graphql_schema.vouchers import VoucherQuery
from graphql_schema.webhooks import WebhookQuery


@strawberry.type(description="Everything that can be read.")
class Query(
    MemberQuery,
    MemberListQuery,
    CorrectingQuery,
    SettlementQuery,
    ReconciliationQuery,
    DenialQuery,
    DisputeQuery,
    SettlementCorrectionQuery,
    JournalQuery,
    AccountingQuery,
    AccountingPolicyQuery,
    AgreementQuery,
    ProgrammeQuery,
    BusinessQuery,
    MembershipQuery,
    HistoryQuery,
    MatchingQuery,
    AdjustmentQuery,
    ReviewQuery,
    ClientQuery,
    SessionQuery,
    RewardQuery,
    NodeQuery,
    VoucherQuery,
    VoucherBatchQuery,
    CampaigningQuery,
    CartQuery,
    WebhookQuery,
    DeliveryQuery,
    PullQuery,
):
    """All reads."""


@strawberry.type(
    description="Everything that can be done. Each field is a transaction of its own; they run in "
    "the order written."
)
class Mutation(
    SpendingMutation,
    RestoringMutation,
    UsingMutation,
    HoldingMutation,
    GrantingMutation,
    CampaigningMutation,
    SellingMutation,
    OrderingMutation,
    StockingMutation,
    AwardingMutation,
    GivingMutation,
    PoolingMutation,
    AdjustingMutation,
    MendingMutation,
    PrivacyMutation,
    RightsMutation,
    PinningMutation,
    ReviewingMutation,
    VerifyingMutation,
    JoiningMutation,
    ReferringMutation,
    CorrectingMutation,
    MergingMutation,
    ClosingMutation,
    PayingMutation,
    ReconcilingMutation,
    DisputingMutation,
    SettlementCorrectionMutation,
    AgreementMutation,
    JournalMutation,
    AccountingMutation,
    AccountingPolicyMutation,
    ClientMutation,
    SessionMutation,
    VoucheringMutation,
    VoucherKeepingMutation,
    VoucherBatchMutation,
    CartMutation,
    WebhookMutation,
    DeliveryMutation,
    PullMutation,
):
    """All writes."""


class _Names(NameConverter):
    """Names of types that are made of others: `MemberEdge` is what joins a member's births."""

    def from_generic(self, *args: Any, **kwargs: Any) -> str:
        name = super().from_generic(*args, **kwargs)
        return "MemberListEdge" if name == "MemberEdge" else name


@cache
def build_schema(*, debug: bool = False, introspection: bool = True) -> HubSchema:
    """Build the schema, once in a process for each choice.

    `debug` names near misses in errors, which helps a stranger to explore.

    Without `introspection` the schema is not told; `__typename` still is.
    """
    schema = HubSchema(
        Query,
        Mutation,
        Subscription,
        types=[Account, Entry, Hold, Lot, RewardOrder],
        extensions=[Fit],
        config=StrawberryConfig(
            scalar_map=SCALARS, disable_field_suggestions=not debug, name_converter=_Names()
        ),
    )
    schema.introspected = introspection
    guard_ids(schema._schema, schema.config.name_converter)
    guard(schema._schema)
    return schema
