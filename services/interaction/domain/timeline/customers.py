"""Entries of a customer's record: who they are, what they agreed to, what became of them."""

from collections.abc import Mapping

from services.interaction.domain.timeline.kinds import Form, Group, Kind, Saying, Shown
from shared.events import automation, care, customer, forms, merging

FIELDS = tuple(customer.RecordFields.model_fields)
CHANNEL = {"channel": Shown(("channel",), Form.WORD, "channel")}
CONSENT = {"topic": Shown(("topic",)), **CHANNEL}
KIND = {"kind": Shown(("kind",), Form.WORD, "identifier")}
OTHER = {"other": Shown(("other",))}
RELATION = {**OTHER, "relation": Shown(("relation",), Form.WORD, "relation")}

RECORD: Mapping[str, Kind] = {
    customer.CustomerRegistered.type: Kind(
        Group.PROFILE,
        (Saying("Registered at {branch}"), Saying("Registered")),
        {"branch": Shown(("home_branch",))},
    ),
    customer.CustomerChanged.type: Kind(
        Group.PROFILE,
        (
            Saying("Changed: {fields}; cleared: {cleared}"),
            Saying("Changed: {fields}"),
            Saying("Cleared: {cleared}"),
            Saying("The record was changed"),
        ),
        {
            "fields": Shown((), Form.WORD, "field", among=FIELDS),
            "cleared": Shown(("cleared",), Form.WORD, "field"),
        },
    ),
    customer.IdentifierAdded.type: Kind(
        Group.PROFILE,
        (Saying("Identifier added: {kind}"),),
        {"kind": Shown(("identifier", "kind"), Form.WORD, "identifier")},
    ),
    customer.IdentifierChanged.type: Kind(
        Group.PROFILE,
        (Saying("Identifier changed: {kind}, {state}"), Saying("Identifier changed: {kind}")),
        {**KIND, "state": Shown(("state",), Form.WORD, "identifier state")},
    ),
    customer.IdentifierRemoved.type: Kind(
        Group.PROFILE, (Saying("Identifier removed: {kind}"),), KIND
    ),
    care.StatusChanged.type: Kind(
        Group.PROFILE,
        (Saying("Status: {status}, was {previous}"), Saying("Status: {status}")),
        {"status": Shown(("status",)), "previous": Shown(("previous",))},
        texts=(("reason",),),
    ),
    care.CategoriesChanged.type: Kind(
        Group.PROFILE,
        (
            Saying("Categories given: {given}; withdrawn: {withdrawn}"),
            Saying("Categories given: {given}"),
            Saying("Categories withdrawn: {withdrawn}"),
            Saying("Categories changed"),
        ),
        {
            "given": Shown(("given", "*", "category")),
            "withdrawn": Shown(("withdrawn", "*", "category")),
        },
    ),
    care.TagsChanged.type: Kind(
        Group.PROFILE,
        (
            Saying("Tags added: {added}; removed: {removed}"),
            Saying("Tags added: {added}"),
            Saying("Tags removed: {removed}"),
            Saying("Tags changed"),
        ),
        {"added": Shown(("added", "*")), "removed": Shown(("removed", "*"))},
    ),
    care.DiscountChanged.type: Kind(
        Group.PROFILE,
        (Saying("Discount: {discount}"), Saying("Discount withdrawn")),
        {"discount": Shown(("discount",), Form.PERCENT)},
    ),
    care.CustomerBlacklisted.type: Kind(
        Group.PROFILE,
        (Saying("Blacklisted until {until}"), Saying("Blacklisted")),
        {"until": Shown(("until",), Form.MOMENT)},
        texts=(("reason",),),
    ),
    care.BlacklistingEnded.type: Kind(
        Group.PROFILE,
        (
            Saying("Blacklisting ended: its time was over", when={"cause": "expired"}),
            Saying("Blacklisting ended: somebody lifted it", when={"cause": "lifted"}),
            Saying("Blacklisting ended"),
        ),
        {"cause": Shown(("cause",))},
    ),
    care.ResponsibleAssigned.type: Kind(
        Group.PROFILE,
        (Saying("Responsible: {employee}"), Saying("Nobody is responsible any more")),
        {"employee": Shown(("employee",))},
    ),
    care.CustomersLinked.type: Kind(
        Group.PROFILE, (Saying("Linked with {other} ({relation})"),), RELATION
    ),
    care.CustomersUnlinked.type: Kind(
        Group.PROFILE, (Saying("No longer linked with {other} ({relation})"),), RELATION
    ),
    care.CustomerArchived.type: Kind(Group.PROFILE, (Saying("The record was archived"),)),
    care.CustomerRestored.type: Kind(Group.PROFILE, (Saying("The record was restored"),)),
    care.FieldsConfirmed.type: Kind(
        Group.PROFILE,
        (Saying("Confirmed: {fields}"), Saying("The record was confirmed")),
        {"fields": Shown(("fields", "*"), Form.WORD, "field")},
    ),
    care.ConfirmationOverdue.type: Kind(
        Group.PROFILE,
        (Saying("Not confirmed in time: {field}"),),
        {"field": Shown(("field",), Form.WORD, "field")},
    ),
    automation.CustomerBecameInactive.type: Kind(
        Group.PROFILE,
        (Saying("Inactive: nothing has happened since {since}"),),
        {"since": Shown(("since",), Form.MOMENT)},
    ),
    automation.CustomerActiveAgain.type: Kind(Group.PROFILE, (Saying("Active again"),)),
    forms.FormPromiseGiven.type: Kind(
        Group.PROFILE,
        (Saying("Coupon {coupon} given by the form {form}"),),
        {"coupon": Shown(("coupon",)), "form": Shown(("form",))},
    ),
}

CONSENTS: Mapping[str, Kind] = {
    customer.ConsentGiven.type: Kind(
        Group.CONSENT,
        (Saying("Consent given: {topic} ({channel})"),),
        CONSENT,
        channel=("channel",),
    ),
    customer.ConsentWithdrawn.type: Kind(
        Group.CONSENT,
        (Saying("Consent withdrawn: {topic} ({channel})"),),
        CONSENT,
        channel=("channel",),
    ),
}

NOTES: Mapping[str, Kind] = {
    care.NoteAdded.type: Kind(Group.NOTE, (Saying("Note"),), texts=(("text",),)),
    care.NoteRemoved.type: Kind(Group.NOTE, (Saying("A note was removed"),)),
    care.DocumentAttached.type: Kind(
        Group.NOTE,
        (Saying("Document attached ({media_type})"),),
        {"media_type": Shown(("media_type",))},
        texts=(("title",),),
        source="/v1/customers/{customer}/documents/{document}",
    ),
    care.DocumentRemoved.type: Kind(Group.NOTE, (Saying("A document was removed"),)),
}

IDENTITY: Mapping[str, Kind] = {
    merging.CustomerMerged.type: Kind(
        Group.IDENTITY,
        (Saying("Merged into {survivor}"),),
        {"survivor": Shown(("survivor",))},
        texts=(("reason",),),
    ),
    merging.CustomerAbsorbed.type: Kind(
        Group.IDENTITY, (Saying("The record {other} was merged into this one"),), OTHER
    ),
    merging.MergeReverted.type: Kind(
        Group.IDENTITY, (Saying("The merge with {other} was undone"),), OTHER
    ),
    merging.DuplicateDismissed.type: Kind(
        Group.IDENTITY, (Saying("Known to be another person than {other}"),), OTHER
    ),
    merging.CustomerErased.type: Kind(
        Group.IDENTITY,
        (Saying("Personal data were erased ({reason})"),),
        {"reason": Shown(("reason",), Form.WORD, "erase reason")},
    ),
}

REQUESTS: Mapping[str, Kind] = {
    care.TaskRequested.type: Kind(
        Group.TASK,
        (Saying("The rule {rule} asks for a task: {title}"),),
        {"rule": Shown(("rule",)), "title": Shown(("title",))},
    ),
    care.MessageRequested.type: Kind(
        Group.MESSAGE,
        (Saying("Message asked for: {template} ({channel})"),),
        {"template": Shown(("template",)), **CHANNEL},
        channel=("channel",),
    ),
}

CUSTOMERS: Mapping[str, Kind] = {**RECORD, **CONSENTS, **NOTES, **IDENTITY, **REQUESTS}
