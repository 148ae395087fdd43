// Written by generate.py: do not edit.
// Amounts of points are integers; dates, times and decimals are texts, as they are sent.

import type { Operation } from "./client.js";

export type EntryKind = "EARN" | "REDEEM" | "CLAWBACK" | "EXPIRE" | "RESTORE" | "REINSTATE" | "ADJUST" | "TRANSFER" | "OPENING" | "MERGE" | "SPLIT";

export type Identifier = { phone: string } | { email: string } | { loyaltyId: string };

export type MemberKey = { id: string } | { phone: string } | { email: string } | { loyaltyId: string };

export interface RedeemInput {
  member: MemberKey;
  points: number;
  idempotencyKey: string;
  business?: string | null;
  billMinor?: number | null;
  award?: string | null;
  category?: string | null;
}

export interface EntryFilter {
  business?: string | null;
  kinds?: ReadonlyArray<EntryKind> | null;
  from?: string | null;
  until?: string | null;
}

export interface EntriesMemberEntriesNodesBusiness {
  code: string;
}

export interface EntriesMemberEntriesNodes {
  id: string;
  kind: EntryKind;
  points: number;
  businessDate: string;
  occurredAt: string;
  business: EntriesMemberEntriesNodesBusiness;
}

export interface EntriesMemberEntriesPageInfo {
  hasNextPage: boolean;
  endCursor: string | null;
}

export interface EntriesMemberEntries {
  nodes: ReadonlyArray<EntriesMemberEntriesNodes>;
  pageInfo: EntriesMemberEntriesPageInfo;
}

export interface EntriesMember {
  id: string;
  entries: EntriesMemberEntries;
}

export interface EntriesVariables {
  member: string;
  filter?: EntryFilter | null;
  first: number;
  after?: string | null;
}

export interface EntriesResult {
  member: EntriesMember | null;
}

export const Entries: Operation<EntriesVariables, EntriesResult> = {
  name: "Entries",
  document: `
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
`,
};

export interface FindMemberMemberByIdentifierTier {
  code: string | null;
  name: string | null;
}

export interface FindMemberMemberByIdentifierBalance {
  available: number;
  held: number;
}

export interface FindMemberMemberByIdentifier {
  id: string;
  number: string;
  displayName: string | null;
  tier: FindMemberMemberByIdentifierTier;
  balance: FindMemberMemberByIdentifierBalance;
}

export interface FindMemberVariables {
  presented: Identifier;
}

export interface FindMemberResult {
  memberByIdentifier: FindMemberMemberByIdentifier | null;
}

export const FindMember: Operation<FindMemberVariables, FindMemberResult> = {
  name: "FindMember",
  document: `
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
`,
};

export interface RedeemRedeemRedeemed {
  __typename: "Redeemed";
  transaction: string;
  points: number;
  available: number;
}

export interface RedeemRedeemInsufficientPoints {
  __typename: "InsufficientPoints";
  message: string;
  available: number;
}

export interface RedeemRedeemPointsNotAccepted {
  __typename: "PointsNotAccepted";
  message: string;
  nearestPoints: number;
}

export interface RedeemRedeemMemberUnknown {
  __typename: "MemberUnknown";
  message: string;
}

export interface RedeemRedeemIdempotencyConflict {
  __typename: "IdempotencyConflict";
  message: string;
  field: string;
}

export interface RedeemRedeemInvalidInput {
  __typename: "InvalidInput";
  message: string;
  field: string;
}

export interface RedeemRedeemForbidden {
  __typename: "Forbidden";
  message: string;
}

export type RedeemRedeem = RedeemRedeemRedeemed | RedeemRedeemInsufficientPoints | RedeemRedeemPointsNotAccepted | RedeemRedeemMemberUnknown | RedeemRedeemIdempotencyConflict | RedeemRedeemInvalidInput | RedeemRedeemForbidden;

export interface RedeemVariables {
  input: RedeemInput;
}

export interface RedeemResult {
  redeem: RedeemRedeem;
}

export const Redeem: Operation<RedeemVariables, RedeemResult> = {
  name: "Redeem",
  document: `
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
`,
};
