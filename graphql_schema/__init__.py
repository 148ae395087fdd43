"""The one GraphQL schema: types, resolvers, and nothing that decides."""
