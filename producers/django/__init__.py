"""The Django app: API requests from a mixin or a middleware, changes of registered models from the ORM."""
