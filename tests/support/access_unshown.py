"""What the world of `World` shows nobody, and why; what else nobody is shown is forgotten."""

UNSHOWN = {
    "of points sold at issue, to a programme company": (
        "Agreement.breakageOwner", "Obligation.issuedOn",
    ),
    "of hybrid agreements, which fund a whole month": (
        "Agreement.prefundPerPoint", "SettlementPeriod.prefunds", "PrefundBalance.currency",
        "PrefundBalance.opening", "PrefundBalance.paid", "PrefundBalance.drawn",
        "PrefundBalance.closing", "PrefundBalance.debtor", "PrefundBalance.creditor",
    ),
    "of bills in another currency": ("EarnExplanation.exchangeRate",),
    "of carts at a till with a rule for taking points": ("CartBasket.transaction",),
    "of matches by their score, of which a small group has none": (
        "MatchEvidence.score", "MatchEvidence.weights", "MatchEvidence.vetoes",
        "MatchWeight.field", "MatchWeight.level", "MatchWeight.weight",
        "MatchExplanation.vetoes", "MatchExplanation.verifiedByBoth", "MemberEdge.score",
        "ReviewCandidate.evidence", "ReviewItem.score",
    ),
    "of splits of who had points": (
        "MembersSplit.accounts", "SplitAccount.account", "SplitAccount.unit",
        "SplitAccount.returned", "SplitAccount.given", "SplitAccount.owed",
    ),
    "of gifts that a day's run gives": (
        "Member.occasions", "OccasionGift.occasion", "OccasionGift.kind", "OccasionGift.calendar",
        "OccasionGift.name", "OccasionGift.nameZh", "OccasionGift.year", "OccasionGift.points",
        "OccasionGift.voucher", "OccasionGift.benefit", "OccasionGift.givenAt",
        "OccasionGift.issuer",
    ),
    "of what came by a connection": ("Posting.document", "Posting.connection", "Posting.delivery"),
    "of years of history": ("RedemptionEstimate.low", "RedemptionEstimate.high"),
    "of statements that a command signs": ("Statement.signature", "Statement.publicKey"),
    "of refusals beside their words, which no row is needed for": (
        "ErasureRefused.reason", "FewerLeft.remaining", "IdempotencyConflict.field",
        "LimitReached.available", "PointsNotAccepted.nearestPoints", "ReferralRefused.reason",
        "ReviewRefused.reason", "RewardOrderElsewhere.state", "RewardRefused.reason",
        "RewardUsed.what", "TooManyCodes.retryAfterSeconds",
    ),
}  # fmt: skip
EXCUSED = frozenset(field for of in UNSHOWN.values() for field in of)
