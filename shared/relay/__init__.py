"""Commits to Kafka: complete, in order per stream, and nothing that is not a commit."""

from shared.relay.ports import CommitFeed, FeedBatch, Publisher, Record, TokenLost
from shared.relay.relay import Relay

__all__ = ["CommitFeed", "FeedBatch", "Publisher", "Record", "Relay", "TokenLost"]
