"""Errors of matching. The message is for a developer or a log; callers turn them into words for users."""


class MatchingError(ValueError):
    """Base of everything matching raises on purpose."""


class EncodingError(MatchingError):
    """A value cannot be turned into numbers: a malformed region code, or more kinds than a bit mask holds."""


class FeatureError(MatchingError):
    """A feature matrix is not finite, or does not fit the model that is to score it."""
