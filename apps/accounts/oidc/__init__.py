"""Sign-in by the operator's identity providers: OpenID Connect, authorization code flow with PKCE."""
