"""Customers who register and buy, over HTTP: by a name that is their external id."""

from datetime import datetime

import httpx2

from shared.events.contract import show_moment


async def registered(customers: httpx2.AsyncClient, name: str) -> str:
    """The id of a new customer."""
    body = {"surname": name, "identifiers": [{"kind": "external", "value": name}]}
    answer = await customers.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text
    customer: str = answer.json()["id"]
    return customer


async def bought(facts: httpx2.AsyncClient, name: str, at: datetime) -> None:
    """A receipt of 10.00 in branch 12; one a day."""
    receipt = {
        "source_id": f"{name}-{at:%Y%m%d}",
        "branch": "12",
        "time": show_moment(at),
        "identifier": {"kind": "external", "value": name},
        "lines": [{"product": "tea", "quantity": 1, "amount": 1000}],
    }
    answer = await facts.post("/v1/receipts", json=receipt)
    assert answer.is_success, answer.text
