"""Every exception that the benchmark raises on purpose beside those of provq_protein."""

from provq_protein.errors import ProvqError


class SourceError(ProvqError, ValueError):
    """A file of labels is missing, damaged or not in the expected layout."""


class JoinError(ProvqError, ValueError):
    """Labels of a chain do not fit its residues."""
