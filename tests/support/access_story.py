"""All that happens in the world of `World`, in its order."""

from tests.integration.api_kit import Api
from tests.support import access_benefits as benefits
from tests.support import access_members as members
from tests.support import access_money as money
from tests.support import access_points as points
from tests.support import access_programme as programme
from tests.support.access_world import World, answers_with_nodes, open_world

STORY = (
    programme.subscribe_to_events, benefits.configure_benefits, money.configure_money,
    money.spend_at_the_diner,
    programme.configure_programme, programme.buy_and_return, members.be_somebody,
    members.be_doubted, members.bring_friends, members.be_matched, members.be_forgotten,
    members.be_kept_and_copied,
    points.move_points, benefits.use_benefits, benefits.order_rewards, benefits.use_vouchers,
    benefits.be_of_tiers, points.be_told, members.sign_in, points.correct_points,
    money.close_the_day, money.reconcile, programme.be_told_of_events, programme.tell_nonsense,
    programme.be_asked_for_the_past,
)  # fmt: skip


async def tell(api: Api) -> World:
    """Return the world in which all of it has happened.

    Whatever a mutation answered with was there to be read by its id, just as it was answered.
    """
    world = await open_world(api)
    for step in STORY:
        await step(world)
    assert world.read_again == answers_with_nodes()
    return world
