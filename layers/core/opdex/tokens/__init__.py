"""Tokens of an OpenID provider, checked before a request reaches the API. Needs the jwt layer."""
