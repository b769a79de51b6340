"""Static lists on real servers: a list moves a segment, and follows customers wherever they go."""

from datetime import UTC, datetime
from typing import Any

from shared.events.contract import show_moment
from shared.testing import LocalChain, eventually
from tests.integration.test_segment_surroundings import ANY, Shops, done, opened

Json = Any
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
ON_VIP = {"kind": "list", "list": "vip"}


async def listed(shops: Shops, name: str, *wanted: str) -> Json:
    """The members of a list, once they are these."""

    async def so() -> Json | None:
        page = await done(shops.segments.get(f"/v1/lists/{name}/members"))
        there = {each["customer"]: each for each in page["items"]}
        return there if there.keys() == set(wanted) and page["count"] == len(wanted) else None

    return await eventually(so)


async def test_a_list_moves_a_segment_and_follows_merges_reverts_and_erases(
    chain: LocalChain,
) -> None:
    async with opened(chain, NOON) as shops:
        anna, boris, clara = [await shops.registered(name) for name in ("A", "B", "C")]
        for name in ("vip", "copy"):
            await done(shops.segments.put(f"/v1/lists/{name}", json={"title": name}))
        await shops.define(guests=ON_VIP)

        async def put_on() -> Json | None:
            items = [{"customer": who} for who in (anna, clara, "nobody")]
            answer = await done(
                shops.segments.post("/v1/lists/vip/members/add", json={"items": items})
            )
            statuses = [each["status"] for each in answer["items"]]
            return answer if statuses == [200, 200, 404] else None

        # Profiles hear of who is new after a moment; who is nobody stays refused.
        await eventually(put_on)
        assert await shops.members("guests", anna, clara) == [show_moment(NOON)] * 2
        there = await listed(shops, "vip", anna, clara)
        because = there[anna]["interval"]["entered_because"]
        assert (because["kind"], because["by"] is not None) == ("hand", True)

        answer = await done(shops.segments.post("/v1/lists/copy/fill", json={"segment": "guests"}))
        await listed(shops, "copy", anna, clara)
        job = await done(shops.segments.get(f"/v1/jobs/{answer['job']}"))
        assert job["counts"] == {"entered": 2}

        # A file names them by their phones, as their records have them.
        for who, phone in ((anna, "+79161234567"), (clara, "+79161234568")):
            body = {"kind": "phone", "value": phone}
            await done(shops.customers.post(f"/v1/customers/{who}/identifiers", json=body, **ANY))
        await done(shops.segments.put("/v1/lists/file", json={"title": "File"}))
        text = "phone,name\n+7 916 123-45-67,A\n+79161234568,C\n"

        async def imported() -> Json | None:
            path = "/v1/lists/file/imports?filename=f.csv"
            sent = await done(shops.segments.post(path, content=text.encode()))
            place = f"/v1/list-imports/{sent['id']}"
            await done(shops.segments.post(f"{place}/start"))

            async def ended() -> Json | None:
                job = await done(shops.segments.get(f"/v1/jobs/{sent['id']}"))
                return job if job["state"] == "done" else None

            job = await eventually(ended)
            return place if "unknown" not in job["counts"] else None

        place = await eventually(imported)
        await listed(shops, "file", anna, clara)
        await done(shops.segments.post(f"{place}/revert"))

        merging = f"/v1/customers/{anna}/merge"
        await done(shops.customers.post(merging, json={"into": boris}, **ANY))
        await shops.members("guests", boris, clara)
        await listed(shops, "vip", boris, clara)
        await done(shops.customers.post(f"{merging}/revert", json={}, **ANY))
        await shops.members("guests", anna, clara)
        await listed(shops, "vip", anna, clara)
        await done(shops.segments.delete(f"/v1/lists/vip/members/{clara}"))
        await shops.members("guests", anna)
        erase = {"reason": "request", "confirm": "erase"}
        await done(shops.customers.post(f"/v1/customers/{anna}/erase", json=erase))
        await listed(shops, "vip")
        await listed(shops, "copy", clara)
        await shops.members("guests")
