"""What a process says of itself: logs as JSON lines on stderr, metrics for Prometheus.

Neither ever carries a personal value. The first rule is never to pass one; behind it stand three
nets. Keys that name personal fields are redacted. Of an exception only classes and places are
written, and the text only where the class is our own, whose texts are made to be logged (a
`KeyError` or a driver's error quotes what it met). Of foreign loggers only warnings and a few
well-behaved ones pass, and only their first line.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import msgspec
import structlog
from asgi_correlation_id import correlation_id
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.events import EVENT_TYPES
from shared.events.contract import EACH, pii_paths
from shared.settings import Settings

# --- Metrics: every name of the product, and what it counts. -------------------------------------
# Labels are closed sets (types, topics, projections, route templates): never an id, never a value
# from outside.

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

DUPLICATE_BLOCKS_PASSED_OVER = Counter(
    "regulars_duplicate_blocks_passed_over",
    "Looks into a block of likely duplicates that holds too many customers to say anything.",
)
EVENTS_APPENDED = Counter(
    "regulars_events_appended", "Events that this process appended to its store.", ["type"]
)
RELAY_PUBLISHED = Counter(
    "regulars_relay_published",
    "Records that Kafka acknowledged; a repeat after a crash counts again.",
    ["topic"],
)
RELAY_REFUSED = Counter(
    "regulars_relay_refused", "Streams stopped because Kafka refused a record of theirs."
)
RELAY_LAG_SECONDS = Gauge(
    "regulars_relay_lag_seconds",
    "Since the moment up to which all is known to be in Kafka: about 1 at rest; 0 on a standby.",
)
PROJECTION_APPLIED = Counter(
    "regulars_projection_applied", "Events folded into documents.", ["projection"]
)
PARKED = Gauge("regulars_parked", "Events that are parked now.", ["projection"])
PROJECTION_STALE = Counter(
    "regulars_projection_stale", "Events skipped, as the document had them.", ["projection"]
)
UNKNOWN_TYPES = Counter(
    "regulars_unknown_types", "Foreign events of a type that is not known.", ["reader"]
)
BATCH_SECONDS = Histogram(
    "regulars_batch_seconds",
    "From a batch of records read until it is durable.",
    ["reader"],
    buckets=_SECONDS,
)
BATCH_RETRIES = Counter(
    "regulars_batch_retries",
    "Batches tried again: a server was away, or a reaction failed.",
    ["reader"],
)
REACTION_PASSED_OVER = Counter(
    "regulars_reaction_passed_over",
    "Records that a reaction could not read; the read models of their topic park them.",
    ["reader"],
)
AUTOMATION = Counter(
    "regulars_automation",
    "Commands of the chain's rules by outcome: done, unchanged, repeated, refused, too_deep for "
    "rules that cause each other, and failed for customers for whom nothing can be carried out.",
    ["outcome"],
)
ROBOTS = Counter(
    "regulars_robots",
    "Changes of deals that robots asked for by outcome: done, refused, and too_deep for robots "
    "that set each other off.",
    ["outcome"],
)
SEGMENTS_HELD = Gauge(
    "regulars_segments_held",
    "Segments that wait for a person's yes, because too many customers would be moved at once: by "
    "a wave of what happens, or by a new definition.",
    ["why"],
)
WEBHOOKS = Counter(
    "regulars_webhooks", "Calls of other systems by outcome: sent, failed, given_up.", ["outcome"]
)
MESSAGES = Counter(
    "regulars_messages", "Messages by outcome: sent, suppressed, held_out, …", ["outcome"]
)
PREFERENCES = Counter(
    "regulars_preferences",
    "What people decided by links in messages, on its way into the log of consents, by outcome: "
    "recorded, passed_over.",
    ["outcome"],
)
MESSAGE_LINKS = Counter(
    "regulars_message_links",
    "What people do by links in messages, by kind (click, open, and how something was decided) and "
    "outcome: recorded, withdrawn, given; passed_over for more than a person does, lost while the "
    "store is away.",
    ["kind", "outcome"],
)
REPORTS = Counter(
    "regulars_reports",
    "What providers tell of messages by outcome: taken, waiting for its message, unknown, refused.",
    ["outcome"],
)
INBOX = Counter(
    "regulars_inbox",
    "Records of the inbox by outcome: recorded, repeated, waiting for something that may come, "
    "dead.",
    ["outcome"],
)
HTTP_TOO_BUSY = Counter(
    "regulars_http_too_busy",
    "Requests refused with 429 before they were read, because of what their caller, or the whole "
    "process, has under way.",
    ["why"],
)
HTTP_SECONDS = Histogram(
    "regulars_http_request_seconds",
    "Requests answered, by route template.",
    ["method", "route", "status"],
    buckets=_SECONDS,
)

# --- Logs ----------------------------------------------------------------------------------------

OUR_PACKAGES = ("shared", "services", "deploy")
FOREIGN_LEVELS: Mapping[str, int] = MappingProxyType(
    {
        "uvicorn.error": logging.INFO,
        "aiokafka": logging.INFO,
        "faststream": logging.INFO,
        # It writes query strings, and those may name people.
        "uvicorn.access": logging.CRITICAL + 1,
    }
)
"""Loggers of others that say more, or less, than warnings."""

REDACTED = "[redacted]"
MAX_FRAMES = 30
_SECRETS = ("authorization", "api_key", "x-api-key", "cookie", "password", "secret", "token")
_CONTACTS = ("phone", "email", "address", "card", "recipient", "body", "text", "note")


def _personal_fields() -> Iterator[str]:
    for model in EVENT_TYPES.values():
        for path in pii_paths(model):
            yield from (step for step in path[-2:] if step != EACH)


DENIED_KEYS = frozenset((*_SECRETS, *_CONTACTS, *_personal_fields()))
"""Keys whose values never reach a line; the personal fields of the contract are among them."""


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take the values out of denied keys, also inside of mappings and lists."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:  # noqa: ANN401 - any value may be logged
    if key.lower() in DENIED_KEYS:
        return REDACTED
    if isinstance(value, Mapping):
        return {str(name): _redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", inner) for inner in value]
    return value


def describe(error: BaseException) -> list[dict[str, Any]]:
    """An exception and its causes, the outermost first: class, code, places, and our own text."""
    described: list[dict[str, Any]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        described.append(_describe_one(current))
        if isinstance(current, BaseExceptionGroup):
            described.extend(part for inner in current.exceptions for part in describe(inner))
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return described


def _describe_one(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    parts: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if kind.__module__.partition(".")[0] in OUR_PACKAGES:
        parts["text"] = str(error)
    for name in ("errno", "code"):
        if isinstance(code := getattr(error, name, None), int):
            parts["code"] = code
    parts["at"] = [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ][-MAX_FRAMES:]
    return parts


def _with_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def _with_correlation(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if (current := correlation_id.get()) is not None:
        event.setdefault("correlation", current)
    return event


def _first_line_only(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The rest of a foreign message may show the object or the exception that it is about."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _render(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    head = {key: event.pop(key) for key in ("time", "level", "service", "event") if key in event}
    return msgspec.json.encode(
        {**head, **event}, enc_hook=lambda value: type(value).__name__
    ).decode()


def configure(settings: Settings, service: str) -> None:
    """Send all logs of this process, ours and others', as JSON lines to stderr."""

    def with_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    context: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        with_service,
        _with_correlation,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *context,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*context, _first_line_only],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                _with_exception,
                _render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    wanted = logging.getLevelNamesMapping()[settings.log_level.upper()]
    for name in OUR_PACKAGES:
        logging.getLogger(name).setLevel(wanted)
    for name, level in FOREIGN_LEVELS.items():
        logging.getLogger(name).setLevel(max(level, wanted))
