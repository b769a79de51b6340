"""The AsyncAPI 3.0 document of a service's topics, made by FastStream from the committed schemas.

Each topic is a publisher that is never called: only relays publish. The payload is one of the
event types of the topic, told apart by `type`.
"""

from typing import Annotated, Any

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from pydantic import WithJsonSchema

from shared.events import published_by
from shared.events.schema import inlined, schema_of
from shared.kafka.connection import KafkaUrl

_DESCRIPTION = (
    "CloudEvents 1.0 in structured JSON. Each event at least once, in version order per stream, "
    "complete, from the first day. Personal fields are sealed."
)


def asyncapi(service: str, url: KafkaUrl) -> dict[str, Any]:
    """The document of the topics that the service alone publishes."""
    broker = KafkaBroker(url.bootstrap)
    for topic, models in published_by(service).items():
        if models:
            payload = {"oneOf": [inlined(schema_of(model)) for model in models.values()]}
            broker.publisher(
                url.topic(topic),
                schema=Annotated[dict[str, Any], WithJsonSchema(payload)],
                title=topic,
                description=_DESCRIPTION,
            )
    document: dict[str, Any] = (
        AsyncAPI(broker, title=f"Regulars: events of {service}", version="1")
        .to_specification()
        .to_jsonable()
    )
    return document
