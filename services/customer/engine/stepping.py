"""Care, stepped: what time alone changes, each at its exact moment.

- What is due before an event fires first, each at its own moment; one due exactly then is settled
  by the event. What was due before it could be known falls due when it became known.
- What an import brings to a customer who was not looked at before is looked at when the import has
  ended, so that nobody counts as silent whose receipts are still on their way.
- A newer rule set is answered at the moment at which it became what it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.customer.domain.configuration.automation import GIVER
from services.customer.engine.document import Care
from services.customer.engine.rules import CareRules, who_confirms
from services.customer.engine.taking import BLACKLIST, Archived, is_sign_of_life, take
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.events.automation import CustomerActiveAgain, CustomerBecameInactive
from shared.events.care import BlacklistingEnded, ConfirmationOverdue
from shared.events.contract import EventData
from shared.projection import Event

_FIELD, _RULE = "field|", "rule|"
Outcome = tuple[Care, Sequence[NewEvent]]


class OlderRules(RuntimeError):  # noqa: N818 - says what is wrong
    """The document was evaluated with a newer rule set: load it, then fold."""


def care_stream(customer: str) -> str:
    """The stream of what time has changed of a customer."""
    return f"care-{customer}"


@dataclass(frozen=True, slots=True)
class CareEngine:
    """The engine with one rule set; another set is another engine."""

    rules: CareRules

    def step(self, care: Care | None, event: Event) -> Outcome:
        """Fold one event of the customer."""
        known = self._known(care, event)
        if known.rules > self.rules.number:
            message = f"rule set {known.rules} is needed, this is {self.rules.number}"
            raise OlderRules(message)
        light, events = event.light, list[NewEvent]()
        if light.history is not None and (known.clock is None or known.history):
            known.history = sorted({*known.history, light.history})
        if known.history:
            take(known, event)
            return self._closed(known), events
        at = light.recordedtime if known.clock is None else max(known.clock, light.recordedtime)
        self._answer(known, events)
        self._settle(known, at, events)
        take(known, event)
        known.clock = at
        self._call_back(known, event, at, events)
        self._evaluate(known, at)
        return self._closed(known), events

    def fold(self, care: Care | None, event: Event) -> Care:
        """Fold one event and evaluate nothing; `revise` then looks at all of it."""
        known = self._known(care, event)
        take(known, event)
        at = event.light.recordedtime
        known.clock = at if known.clock is None else max(known.clock, at)
        known.rules = 0
        return known

    def wake(self, care: Care, until: datetime) -> Outcome:
        """Settle what is due strictly before a moment, each timer at its own."""
        if care.due_at is None or care.due_at >= until or care.rules > self.rules.number:
            return care, ()
        known, events = _copy(care), list[NewEvent]()
        if self.rules.at < until:
            self._answer(known, events)
        self._settle(known, until, events)
        return self._closed(known, rules=known.rules), events

    def revise(self, care: Care, at: datetime) -> Outcome:  # noqa: ARG002 - see below
        """Evaluate with the present rule set, if the document was evaluated with an older one.

        The moment is that of the rule set, not that of whoever comes round to it.
        """
        if care.rules >= self.rules.number:
            return care, ()
        known, events = _copy(care), list[NewEvent]()
        self._answer(known, events)
        return self._closed(known), events

    def live(self, care: Care, import_id: str, until: datetime) -> Outcome:
        """Look at what an import brought; `until` is the `recordedtime` of its end."""
        if import_id not in care.history or care.rules > self.rules.number:
            return care, ()
        known, events = _copy(care), list[NewEvent]()
        known.history = [each for each in care.history if each != import_id]
        if not known.history:
            known.clock = until if known.clock is None else max(known.clock, until)
            known.clock = max(known.clock, self.rules.at)
            self._evaluate(known, known.clock)
        return self._closed(known), events

    def _known(self, care: Care | None, event: Event) -> Care:
        if care is not None:
            return _copy(care)
        customer = event.light.subject
        if customer is None:
            message = f"{event.light.id} concerns no customer"
            raise ValueError(message)
        return Care(id=customer, partition=event.partition, rules=self.rules.number)

    def _answer(self, known: Care, events: list[NewEvent]) -> None:
        """Bring the document up to the present rule set."""
        if known.rules == self.rules.number:
            return
        known.rules = self.rules.number
        if known.clock is None:
            return
        at = max(known.clock, self.rules.at)
        self._settle(known, at, events)
        known.clock = at
        self._evaluate(known, at)

    def _evaluate(self, known: Care, at: datetime) -> None:
        """Set all timers anew; none lies before the moment."""
        if not known.waits:
            known.due = {}
            return
        due = {} if known.blacklisted is None else {BLACKLIST: known.blacklisted}
        for name, period in self.rules.periods.items():
            since = known.known.get(name)
            if since is not None and known.overdue.get(name) != since:
                due[f"{_FIELD}{name}"] = since + period
        if known.last is not None and not known.deals:
            for name, period in self.rules.inactive.items():
                if known.inactive.get(name) != known.last:
                    due[f"{_RULE}{name}"] = known.last + period
        known.due = {timer: max(moment, at) for timer, moment in due.items()}

    def _settle(self, known: Care, until: datetime, events: list[NewEvent]) -> None:
        """Fire what is due strictly before the moment, earliest first."""
        while known.due:
            at, timer = min((moment, timer) for timer, moment in known.due.items())
            if at >= until:
                return
            known.due = {name: each for name, each in known.due.items() if name != timer}
            known.clock = at
            data = self._fire(known, timer)
            if data is not None:
                events.append(NewEvent(data, at, known.branch))

    def _fire(self, known: Care, timer: str) -> EventData | None:
        """What has come; None for a rule that is gone meanwhile."""
        if timer == BLACKLIST:
            known.blacklisted = None
            return BlacklistingEnded(cause="expired")
        kind, _, name = timer.partition("|")
        if f"{kind}|" == _RULE:
            if name not in self.rules.inactive or known.last is None:
                return None
            known.inactive = {**known.inactive, name: known.last}
            return CustomerBecameInactive(rule=name, since=known.last)
        rule, since = self.rules.fields.get(name), known.known.get(name)
        if rule is None or since is None:
            return None
        known.overdue = {**known.overdue, name: since}
        return ConfirmationOverdue(field=name, since=since, how=rule.how, by=who_confirms(rule))

    def _call_back(self, known: Care, event: Event, at: datetime, events: list[NewEvent]) -> None:
        """Ask for an archived record where something happened, also just before it was archived."""
        if not known.archived or known.called or known.merged or known.erased:
            return
        data, light = event.data, event.light
        if isinstance(data, Archived):
            rule = data.by.removeprefix(GIVER)
            said = known.inactive.get(rule)
            because = known.last_event
            if not data.by.startswith(GIVER) or said is None or said == known.last:
                return
        elif is_sign_of_life(data):
            because = light.id
        else:
            return
        known.called = True
        why = Causation.of(light)
        events.append(NewEvent(CustomerActiveAgain(event=because), at, known.branch, why))

    def _closed(self, known: Care, rules: int | None = None) -> Care:
        known.rules = self.rules.number if rules is None else rules
        known.due_at = min(known.due.values()) if known.due and not known.history else None
        return known


def _copy(care: Care) -> Care:
    """A document of our own; what is in it is replaced, never changed."""
    return msgspec.structs.replace(care)
