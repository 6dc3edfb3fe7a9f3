"""Who may do what: roles, the policy, passwords and tokens. Knows nothing of HTTP or GraphQL."""
