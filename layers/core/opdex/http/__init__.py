"""The HTTP contract: routes, request and response models, keys and roles, the portal."""
