"""People and programs: users, memberships, roles, permissions, API tokens, sign-in, tenant lifecycle."""
