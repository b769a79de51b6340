"""The AsyncAPI 3.0 document of a service's topics, made by FastStream from the committed schemas.

Each topic is a publisher that is never called: only relays publish. The payload is one of the
event types of the topic, told apart by `type`. Topics that others write to are described the same
way, and turned round.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from pydantic import WithJsonSchema

from shared.events import published_by
from shared.events.schema import Schema, inlined, schema_of
from shared.kafka.connection import KafkaUrl

_DESCRIPTION = (
    "CloudEvents 1.0 in structured JSON. Each event at least once, in version order per stream, "
    "complete, from the first day. Personal fields are sealed."
)

_ACCEPTED = (
    "Tills write to it: a JSON object each, one fact with its kind, under any key. The same fact "
    "again changes nothing. What cannot be taken goes to the dead letters, with the reason."
)


def asyncapi(
    service: str, url: KafkaUrl, accepts: Mapping[str, Schema] = MappingProxyType({})
) -> dict[str, Any]:
    """The document of the topics that the service alone publishes, and of those that it reads.

    `accepts` has topics that others write to, each with the schema of its values.
    """
    broker = KafkaBroker(url.bootstrap)
    for topic, schema in accepts.items():
        payload = {"oneOf": schema["oneOf"]}
        broker.publisher(
            url.topic(topic),
            schema=Annotated[dict[str, Any], WithJsonSchema(payload)],
            title=topic,
            description=_ACCEPTED,
        )
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
    for operation in document["operations"].values():
        if any(operation["channel"]["$ref"].endswith(f"/{topic}") for topic in accepts):
            operation["action"] = "receive"
    return document
