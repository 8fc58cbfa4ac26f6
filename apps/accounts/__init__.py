"""Accounts: users, memberships, API tokens, sign-in, invitations, tenant lifecycle."""
