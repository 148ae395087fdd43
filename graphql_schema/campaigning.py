"""Granting a benefit to many members at once, and what came of it. For staff."""

from datetime import date
from typing import Annotated

import strawberry

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.fields import Given, count, resolved, shown
from graphql_schema.finding import whole_number
from graphql_schema.rejections import REFUSALS, Refused, refused
from graphql_schema.using import named_benefit
from hub import errors
from hub.benefits.campaigns.grant_to_many import grant_to_many
from hub.benefits.campaigns.open_campaign import open_campaign
from hub.benefits.campaigns.preview import preview
from hub.benefits.campaigns.report import Report, report

MOST_MEMBERS = 1_000


@strawberry.input(description="A benefit for many members.")
class GrantToManyInput:
    """A campaign, and to whom."""

    campaign: str = strawberry.field(
        description="The campaign's short name: each member is granted it once."
    )
    benefit: str = strawberry.field(description="The benefit's short name.")
    members: list[strawberry.ID] = strawberry.field(
        description=f"The members' numbers, up to {MOST_MEMBERS}; more in further requests."
    )
    ends_on: date = strawberry.field(description="The last day on which it can be used.")
    reason: str = strawberry.field(description="Why; the ledger keeps it, and members see it.")
    quantity: int = strawberry.field(default=1, description="How many uses for each.")
    starts_on: date | None = strawberry.field(
        default=None, description="The first day on which it can be used; unsaid: today."
    )
    funder: str | None = strawberry.field(
        default=None, description="The business that pays; unsaid: the benefit's own funder."
    )


@strawberry.type(description="What a campaign's uses have cost in a currency.")
class CampaignCost:
    """A cost."""

    currency: str = strawberry.field(description="ISO 4217 code of the currency.")
    minor: int = count("What they cost its funder, cancelled ones taken off, in minor units.")


@strawberry.type(description="A benefit that was granted to many members, and what came of it.")
class BenefitCampaign:
    """A campaign's report."""

    row: strawberry.Private[Report]
    members: int = count("Members who were granted it.")
    granted: int = count("Uses that were granted.")
    held: int = count("Of these, set aside at tills.")
    used: int = count("Of these, used.")
    ended: int = count("Of these, ended unused.")
    left: int = count("Of these, left.")

    @classmethod
    def of(cls, row: Report) -> "BenefitCampaign":
        """Show a report."""
        return shown(cls, row, row=row)

    @resolved("Its short name.")
    def code(self) -> str:
        """Return the campaign's name."""
        return self.row.campaign.code

    @resolved("The benefit's short name.")
    def benefit(self) -> str:
        """Return what it grants."""
        return self.row.campaign.benefit

    @resolved("How many uses each member is granted.", counts=True)
    def quantity(self) -> int:
        """Return how much it grants."""
        return self.row.campaign.quantity

    @resolved("The last day on which it can be used.")
    def ends_on(self) -> date:
        """Return its last day."""
        return self.row.campaign.ends_on

    @resolved("The short name of the business that pays for it.")
    def funder(self) -> str:
        """Return who pays."""
        return self.row.campaign.funder

    @resolved("Why it is granted.")
    def reason(self) -> str:
        """Return why."""
        return self.row.campaign.reason

    @resolved("What its uses have cost so far, by currency.")
    def costs(self) -> list[CampaignCost]:
        """Return the costs."""
        return [shown(CampaignCost, one) for one in self.row.costs]


@strawberry.type(description="The members have it.")
class GrantedToMany:
    """What was granted."""

    granted: int = count("Members who were granted it by this request.")
    had: int = count("Members who had been granted it before.")
    unknown: int = count("Numbers of nobody, or of people who were erased.")
    campaign: BenefitCampaign = strawberry.field(description="The campaign, as it stands now.")


@strawberry.type(description="What a grant would come to. Nothing was granted.")
class GrantPreview:
    """A preview."""

    members: int = count("Members who would be granted it.")
    had: int = count("Members who have been granted it.")
    unknown: int = count("Numbers of nobody, or of people who were erased.")
    uses: int = count("Uses that would be granted.")
    most_minor: int = count(
        "What they cost at most, if all are used where that is dearest, in minor units."
    )
    currency: str = strawberry.field(description="ISO 4217 code of the currency.")


GrantToManyResult = Annotated[
    GrantedToMany | Refused,
    strawberry.union("GrantToManyResult", description="What came of granting to many."),
]
PreviewGrantResult = Annotated[
    GrantPreview | Refused,
    strawberry.union("PreviewGrantResult", description="What granting to many would come to."),
]


def _members(asked: GrantToManyInput) -> list[int]:
    named_benefit(asked.benefit, None)
    if len(asked.members) > MOST_MEMBERS:
        raise errors.Malformed(f"name up to {MOST_MEMBERS} members", field="members")
    return [whole_number(one, field="members") for one in asked.members]


def _refused(no: errors.HubError) -> Refused:
    if isinstance(no, errors.NotFound):
        return refused(errors.Malformed(no.message, field=str(no.facts.get("field", "benefit"))))
    if isinstance(no, REFUSALS):
        return refused(no)
    raise no


@strawberry.type
class CampaigningQuery:
    """What came of campaigns."""

    @resolved("A benefit that was granted to many, with what came of it; null when there is no "
              "such campaign. For staff.")  # fmt: skip
    async def benefit_campaign(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="The campaign's short name.")],
    ) -> BenefitCampaign | None:
        """Return a campaign's report."""
        context = info.context
        require(context.principal, *CORRECTORS)
        try:
            async with context.reading() as db:
                return BenefitCampaign.of(await report(db, code=code.replace("\0", "")))
        except errors.NotFound:
            return None


@strawberry.type
class CampaigningMutation:
    """How staff give a benefit to many."""

    @resolved("Grant uses of a benefit to many members, once for each and campaign. For staff.")
    async def grant_to_many(
        self,
        info: Info,
        input: Given[GrantToManyInput],  # noqa: A002
    ) -> GrantToManyResult:
        """Grant and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            members = _members(input)
            today = await context.load.today()
            async with context.writing() as db:
                opened = await open_campaign(
                    db, code=input.campaign, benefit_code=input.benefit, quantity=input.quantity,
                    starts_on=input.starts_on or today, ends_on=input.ends_on,
                    reason=input.reason, actor=caller.subject, now=context.now,
                    funder=input.funder,
                )  # fmt: skip
                done = await grant_to_many(
                    db, campaign=opened, member_ids=members, actor=caller.subject, now=context.now
                )
                found = await report(db, code=opened.code)
        except errors.HubError as no:
            return _refused(no)
        return shown(GrantedToMany, done, campaign=BenefitCampaign.of(found))

    @resolved("Say whom granting to many would grant something, and what that costs at most; "
              "nothing is granted. For staff.")  # fmt: skip
    async def preview_grant(
        self,
        info: Info,
        input: Given[GrantToManyInput],  # noqa: A002
    ) -> PreviewGrantResult:
        """Answer what it would come to."""
        context = info.context
        try:
            require(context.principal, *CORRECTORS)
            members = _members(input)
            async with context.reading() as db:
                found = await preview(
                    db, code=input.campaign, benefit_code=input.benefit, quantity=input.quantity,
                    member_ids=members, now=context.now,
                )  # fmt: skip
        except errors.HubError as no:
            return _refused(no)
        return shown(GrantPreview, found)
