"""What callers may send of a customer: whatever is wrong is named, and nothing is a fault."""

import pytest

from shared.access import Role
from tests.unit.deskwork import Chain, kind_of


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
async def test_moments_that_utc_does_not_reach_are_named(moment: str) -> None:
    owner = await Chain().caller(Role.OWNER)
    made = await owner.post("/v1/customers", json={"surname": "Ivanova"})
    path = f"/v1/customers/{made.json()['id']}"
    consent = {"topic": "news", "channel": "sms", "source": "till", "at": moment}
    answers = [
        await owner.put(f"{path}/blacklisting", json={"reason": "rude", "until": moment}),
        await owner.post(f"{path}/consents", json=consent),
    ]
    for answer, field in zip(answers, ("until", "at"), strict=True):
        assert kind_of(answer) == (422, "invalid")
        assert [each["field"] for each in answer.json()["errors"]] == [field]
