"""Kafka as the services use it: topics, the publisher, consumers, progress, reactions."""

from shared.kafka import transport
from shared.kafka.connection import KAFKA_AWAY, KafkaUrl, partition_of, stop
from shared.kafka.dead_letters import KafkaDeadLetters
from shared.kafka.progress import ProgressReader, group_lag
from shared.kafka.publisher import KafkaPublisher
from shared.kafka.reach import GroupReach
from shared.kafka.reactions import react_until_cancelled, start, subscribe
from shared.kafka.topics import DEAD_LETTERS, INBOX, KeptDays, PartitionMismatch, ensure_topics

transport.mend()

__all__ = [
    "DEAD_LETTERS",
    "INBOX",
    "KAFKA_AWAY",
    "GroupReach",
    "KafkaDeadLetters",
    "KafkaPublisher",
    "KafkaUrl",
    "KeptDays",
    "PartitionMismatch",
    "ProgressReader",
    "ensure_topics",
    "group_lag",
    "partition_of",
    "react_until_cancelled",
    "start",
    "stop",
    "subscribe",
]
