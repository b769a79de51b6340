"""Taking in: whatever way facts come, they are recorded here, each with an answer of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.interaction.handlers.facts import Recorder, SentFact
from services.interaction.handlers.incoming import FactInput, TakeBackInput
from services.interaction.handlers.incoming.hot import HotReceiptInput
from services.interaction.handlers.returns import Returns, SentReturn
from shared.access import Scope
from shared.clock import Clock
from shared.decider import Refused
from shared.execute import Outcome
from shared.identifiers import IdentifierRules

Sent = SentFact | SentReturn
AnyItem = FactInput | TakeBackInput | HotReceiptInput


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes facts in."""

    recorder: Recorder
    returns: Returns
    rules: IdentifierRules
    clock: Clock

    def sent(
        self, items: Sequence[AnyItem | Refused], narrow: Scope | None = None
    ) -> Sequence[Sent | Refused]:
        """Each item as it is recorded, or why it cannot be; `narrow` is what its caller may do."""
        now = self.clock.now()
        made: list[Sent | Refused] = []
        for item in items:
            try:
                if isinstance(item, Refused):
                    raise item
                if narrow is not None:
                    narrow.require(item.branch)
                    if isinstance(item, TakeBackInput) and item.void:
                        # What was bought elsewhere may be brought back here, and counts here; that
                        # it never happened is for its own branch to say.
                        narrow.require(item.receipt.branch or item.branch)
                made.append(
                    item.taken_back(now)
                    if isinstance(item, TakeBackInput)
                    else item.sent(self.rules, now)
                )
            except Refused as refusal:
                made.append(refusal)
        return made

    async def take(
        self, sent: Sequence[Sent | Refused], import_id: str | None = None
    ) -> Sequence[tuple[str | None, Outcome]]:
        """Record them; gives for each the id of its fact (if it is one) and what became of it.

        What is given back comes after all that was bought, so that both may come in one batch.
        """
        facts = [each for each in sent if isinstance(each, SentFact)]
        backs = [each for each in sent if isinstance(each, SentReturn)]
        recorded = iter(await self.recorder.record(facts, import_id) if facts else [])
        returned = iter(await self.returns.record(backs, import_id) if backs else [])
        return [
            (each.command.data.fact, next(recorded))
            if isinstance(each, SentFact)
            else (each.command.fact, next(returned))
            if isinstance(each, SentReturn)
            else (None, each)
            for each in sent
        ]
