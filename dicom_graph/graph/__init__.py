"""The GraphQL schema: types, loaders, connections, mutations and subscriptions."""
