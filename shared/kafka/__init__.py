"""Kafka as the services use it: topics, the publisher, consumers, progress, reactions."""

from shared.kafka.connection import KAFKA_AWAY, KafkaUrl, partition_of
from shared.kafka.progress import ProgressReader, group_lag
from shared.kafka.publisher import KafkaPublisher
from shared.kafka.reach import GroupReach
from shared.kafka.reactions import start, subscribe
from shared.kafka.topics import PartitionMismatch, ensure_topics

__all__ = [
    "KAFKA_AWAY",
    "GroupReach",
    "KafkaPublisher",
    "KafkaUrl",
    "PartitionMismatch",
    "ProgressReader",
    "ensure_topics",
    "group_lag",
    "partition_of",
    "start",
    "subscribe",
]
