// What a till does: find who stands there, take points once, show what happened.

import { type HubClient, pages } from "./client.js";
import {
  Entries,
  type EntriesMemberEntriesNodes,
  FindMember,
  type FindMemberMemberByIdentifier,
  Redeem,
} from "./operations.js";

/** Returns the member with a phone number, masked; null for nobody. */
export async function find(
  hub: HubClient,
  phone: string,
): Promise<FindMemberMemberByIdentifier | null> {
  return (await hub.execute(FindMember, { presented: { phone } })).memberByIdentifier;
}

/** Takes points for a bill, once however often it is asked; returns what to print. */
export async function redeem(
  hub: HubClient,
  member: string,
  points: number,
  bill: string,
): Promise<string> {
  const { redeem: done } = await hub.execute(Redeem, {
    input: { member: { id: member }, points, idempotencyKey: `bill-${bill}` },
  });
  switch (done.__typename) {
    case "Redeemed":
      return `${done.points} points taken, ${done.available} left`;
    case "InsufficientPoints":
      return `only ${done.available} points can be spent`;
    case "PointsNotAccepted":
      return `not that many for this bill: at most ${done.nearestPoints}`;
    case "IdempotencyConflict":
    case "InvalidInput":
      throw new Error(`${done.field}: ${done.message}`);
    case "MemberUnknown":
    case "Forbidden":
      return done.message;
  }
}

/** Yields all that moved for a member at this business, the latest first. */
export function entries(
  hub: HubClient,
  member: string,
): AsyncGenerator<EntriesMemberEntriesNodes> {
  return pages(async (after) => {
    const found = (await hub.execute(Entries, { member, first: 50, after })).member?.entries;
    if (!found) return [[], null] as const;
    return [found.nodes, found.pageInfo.hasNextPage ? found.pageInfo.endCursor : null] as const;
  });
}
