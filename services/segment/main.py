"""`python -m services.segment --role api|worker|relay|all`: builds everything, then runs."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from faststream.kafka import KafkaBroker
from pydantic import Field

from services.segment.api import (
    AnalyticsApi,
    DefinitionApi,
    ExplainingApi,
    HistoryApi,
    MemberApi,
    PortraitApi,
    PredictionApi,
    PreviewApi,
    ReadyApi,
    Speech,
    Standings,
    SteeringApi,
)
from services.segment.api.list_imports import ListImportApi
from services.segment.api.list_members import ListMemberApi
from services.segment.api.lists import ListApi
from services.segment.api.tables import TableApi
from services.segment.consumers import (
    PROJECTIONS,
    ListReaction,
    LiveRules,
    ZoneReaction,
    readers,
)
from services.segment.consumers.generations import KernelGenerations
from services.segment.consumers.rebuilding import BringingBack, Rebuilding, generation_of
from services.segment.domain import Brake
from services.segment.engine.stepping import HORIZON
from services.segment.handlers.braking import BrakeWatch
from services.segment.handlers.definitions import load_rules
from services.segment.handlers.filling import ListFill
from services.segment.handlers.importing import ListDryRun, ListFiles, ListImport, Source
from services.segment.handlers.lists import ListWriting
from services.segment.handlers.merging import ListMerging
from services.segment.handlers.predicting import PredictionFit
from services.segment.handlers.rebuilding import Rebuilds
from services.segment.handlers.tables import CutPointCount, TableSchedule
from services.segment.handlers.trials import TrialCount
from services.segment.handlers.zones import note_chain
from services.segment.projections import ACTIVITY, members_v2
from services.segment.projections.holders import HOLDERS
from services.segment.projections.lists import LIST_MEMBERS
from services.segment.projections.waves import WAVES
from services.segment.queries.activity import Activities
from services.segment.queries.brake import Base, Evaluations, Movements
from services.segment.queries.cohorts import Cohorts
from services.segment.queries.definitions import Definitions
from services.segment.queries.held import Held
from services.segment.queries.history import History
from services.segment.queries.holders import Holders
from services.segment.queries.lists import ListMembers, StaticLists, standing_lists
from services.segment.queries.members import Members
from services.segment.queries.portraits import Portraits
from services.segment.queries.predictions import Predictions
from services.segment.queries.profiles import Profiles
from services.segment.queries.rules import PresentRules
from services.segment.queries.scoring import Scoring, Tables
from services.segment.queries.value import Values
from shared.access import Kind
from shared.http.disclosing import DisclosureApi
from shared.identifiers import IdentifierRules
from shared.importing import INDEXES, ImportList, Imports
from shared.jobs import JobApi
from shared.mongo import MongoDocuments, MongoLeases
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings

SERVICE = "segment"
EVALUATIONS = "evaluations"
IMPORTS = "imports"
REBUILDS = "rebuilds"
GRACE_SECONDS = 15.0


class SegmentSettings(Settings):
    """The segment service's own settings.

    `profile_horizon` is how long facts are kept one by one where no rule looks back further. More
    than `wave_share` percent of the customers, moved in or out of a segment by one definition or
    within `wave_period`, are held for a person's yes, where there are `wave_minimum` customers; 100
    percent holds nothing.
    `zone` (IANA name) is the chain's: figures are of its days and months, and rules count its days.
    """

    profile_horizon: timedelta = HORIZON
    zone: ZoneInfo = ZoneInfo("UTC")
    wave_share: int = Field(default=20, ge=1, le=100)
    wave_minimum: int = Field(default=1_000, ge=1)
    wave_period: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))


async def build(settings: SegmentSettings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    if role in {"worker", "all"}:
        await note_chain(kernel.writer, settings.zone.key, kernel.clock)
    rules = LiveRules(kernel.store, settings.profile_horizon)
    await rules.refresh()
    base = Base(kernel.documents(rules.stepped.projection).collection)
    generations = KernelGenerations(kernel)
    rebuilds = Rebuilds(MongoDocuments(kernel.database, REBUILDS), base)
    rebuilding = Rebuilding(rebuilds, generations, rules, kernel.clock)
    profiles = await kernel.stepped_projector(
        rules,
        lambda folder: (
            BringingBack(folder, rules, lambda: rebuilding.rebuild, generations.documents).run_slice
        ),
    )
    folders = [await kernel.projector(projection) for projection in PROJECTIONS]
    definitions = Definitions(kernel.writer)
    jobs = await kernel.jobs()
    brake = Brake(settings.wave_share, settings.wave_minimum, settings.wave_period)
    standings = Standings(
        store=kernel.store,
        base=base,
        movements=Movements(kernel.documents(WAVES).collection),
        evaluations=Evaluations(MongoDocuments(kernel.database, EVALUATIONS)),
        jobs=jobs.store,
    )
    members = Members(kernel.documents(members_v2).collection)
    activities = Activities(kernel.documents(ACTIVITY).collection)
    predictions = Predictions(kernel.writer, activities.collection)
    profiled = kernel.documents(rules.stepped.projection).collection
    asked = Profiles(profiled)
    speech = Speech.read(settings.currency)
    tables, scoring = Tables(kernel.writer), Scoring(asked)
    present = PresentRules(partial(load_rules, kernel.store), partial(standing_lists, kernel.store))
    lists = StaticLists(kernel.writer)
    listed = ListMembers(kernel.documents(LIST_MEMBERS).collection)
    listing = ListWriting(kernel.writer, asked)
    files, drafts = await kernel.files(), MongoDocuments(kernel.database, IMPORTS)
    source = Source(
        drafts=drafts,
        files=files,
        writing=listing,
        lists=lists,
        holders=Holders(kernel.documents(HOLDERS).collection),
        profiles=asked,
        rules=IdentifierRules(kernel.hmac_secret, settings.phone_region),
        clock=kernel.clock,
    )
    await drafts.create_indexes(INDEXES)
    importing = ListImportApi(
        Imports(drafts, files, jobs, kernel.clock, ListFiles(lists)), ImportList(drafts.collection)
    )
    apis = (
        DefinitionApi(
            writer=kernel.writer,
            definitions=definitions,
            members=members,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
            standings=standings,
            brake=brake,
            speech=speech,
        ),
        SteeringApi(
            writer=kernel.writer,
            definitions=definitions,
            standings=standings,
            speech=speech,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
            brake=brake,
        ),
        MemberApi(
            definitions=definitions,
            members=members,
            activities=activities,
            clock=kernel.clock,
        ),
        HistoryApi(
            definitions=definitions,
            history=History(members.collection),
            clock=kernel.clock,
            zone=settings.zone,
        ),
        PredictionApi(
            predictions=predictions,
            activities=activities,
            jobs=jobs,
            clock=kernel.clock,
        ),
        PortraitApi(
            definitions=definitions,
            portraits=Portraits(activities.collection, members.collection, profiled),
            clock=kernel.clock,
        ),
        AnalyticsApi(
            definitions=definitions,
            cohorts=Cohorts(activities.collection, settings.zone),
            values=Values(activities.collection, members.collection),
            clock=kernel.clock,
        ),
        TableApi(
            writer=kernel.writer,
            tables=tables,
            scoring=scoring,
            jobs=jobs,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
        ),
        ExplainingApi(
            definitions=definitions,
            members=members,
            profiles=asked,
            rules=present,
            speech=speech,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
        ),
        PreviewApi(
            definitions=definitions,
            profiles=asked,
            rules=present,
            speech=speech,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
            zone=settings.zone,
        ),
        ReadyApi(speech),
        ListApi(
            writer=kernel.writer,
            lists=lists,
            writing=listing,
            members=listed,
            definitions=definitions,
            rules=present,
            predictions=predictions,
            jobs=jobs,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
        ),
        ListMemberApi(lists, listed, kernel.clock),
        DisclosureApi(
            "memberships",
            Kind.SEGMENT,
            Held(kernel.writer, profiled).of,
            await kernel.reveals(),
            kernel.clock,
        ),
        importing,
    )

    trials = TrialCount(
        writer=kernel.writer,
        definitions=definitions,
        profiles=asked,
        jobs=jobs.store,
        clock=kernel.clock,
        horizon=settings.profile_horizon,
        brake=brake,
    )
    cutting = CutPointCount(
        writer=kernel.writer,
        tables=tables,
        scoring=scoring,
        clock=kernel.clock,
        horizon=settings.profile_horizon,
    )
    file_jobs = ListImport(source), ListDryRun(source)
    filling = ListFill(lists, listing, members, asked, present, jobs.store, predictions)
    fitting = PredictionFit(kernel.writer, predictions, kernel.clock)
    watch = BrakeWatch(
        writer=kernel.writer,
        base=standings.base,
        movements=standings.movements,
        evaluations=standings.evaluations,
        jobs=jobs,
        leases=MongoLeases(kernel.database),
        owner=kernel.owner,
        clock=kernel.clock,
        horizon=settings.profile_horizon,
        brake=brake,
    )

    broker = KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None)
    zones = ZoneReaction(broker, kernel.kafka, kernel.writer)
    following = ListReaction(
        KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None),
        kernel.kafka,
        ListMerging(kernel.writer, kernel.clock),
    )

    async def counts() -> Mapping[str, int]:
        due = await kernel.due_timers(rules.stepped.projection, rules.stepped.spared)
        return {"due_timers": due}

    async def reading() -> Mapping[str, tuple[str, ...]]:
        """The groups of reactions, and that of profiles that are folded anew."""
        present = await rebuilds.present()
        if not present.active:
            return await readers()
        generation = generation_of(present)
        return {**await readers(), f"{SERVICE}.{generation.name}": generation.topics}

    return await assemble(
        kernel,
        role,
        title="Regulars: segments",
        routers=[*(api.router() for api in apis), importing.uploads(), JobApi(jobs).router()],
        projectors=[profiles, *folders],
        worker_tasks=[
            rules.follow,
            rebuilding.run,
            watch.run,
            kernel.job_runner(jobs, [trials, fitting, cutting, filling, *file_jobs]).run,
            zones.run,
            following.run,
            files.run,
            TableSchedule(tables, jobs, kernel.clock).run,
        ],
        reports=Reports(counts=counts, readers=reading),
    )


def main() -> None:
    """Run the service."""
    start(SERVICE, SegmentSettings, build)
