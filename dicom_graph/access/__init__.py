"""What users may do: roles, the policy, passwords and tokens. Knows nothing of HTTP or GraphQL."""
