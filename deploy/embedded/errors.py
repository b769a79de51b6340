"""What can keep the embedded stack from running; each message says what to do about it."""


class EmbeddedError(Exception):
    """The stack cannot run here; the message is for the person at the terminal, as it is."""


class HomeLockedError(EmbeddedError):
    """Another `up`, `demo` or test run owns this home folder."""


class PortTakenError(EmbeddedError):
    """A port that people know by heart is used by a process of somebody else."""


class ArtifactMissingError(EmbeddedError):
    """A pinned file could not be fetched."""


class ArtifactRefusedError(EmbeddedError):
    """A fetched file is not the one that was pinned; it was not used."""


class JavaMissingError(EmbeddedError):
    """No Java that Kafka accepts."""


class MongoMissingError(EmbeddedError):
    """No MongoDB-compatible server to start, or not the one that this home was begun with."""


class ChildFailedError(EmbeddedError):
    """A child did not become ready, or died more often than a restart could be blamed for."""
