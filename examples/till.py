"""A till that is often offline: what is sold is on disk first, and is sent until it is answered.

    REGULARS_KEY=rg_… python examples/till.py queue.db --url http://127.0.0.1:8002 --branch 12

Takes one sale a line from standard input (the JSON of a receipt's own fields, see /docs of the
interaction service), says each sale's id once it is on disk, and ends when the input has ended and
all is answered. Kill it at any moment and start it again: what was sold is not lost, and what was
sent twice counts once, because a receipt has the same id each time.
"""

import argparse
import json
import os
import random
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx2

BATCH = 100
LONGEST_PAUSE_SECONDS = 60.0
LATER = {408, 425, 429, 500, 502, 503, 504}
"""Answers that say nothing about what was sent: send the same again."""
NOT_YET = {"unknown-customer", "unknown-receipt", "fact-under-way"}
"""Out of order is normal: the customer, or the receipt that is given back, may come later."""
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS sale (
  number INTEGER PRIMARY KEY AUTOINCREMENT, fact TEXT, tries INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS refused (number INTEGER PRIMARY KEY, fact TEXT, problem TEXT);
"""


class Queue:
    """Sales that are not answered yet, in a file; every change is on disk when it returns."""

    def __init__(self, path: str) -> None:
        """Open the file, or begin it."""
        self.file = sqlite3.connect(path, timeout=60)
        self.file.executescript(TABLES)

    def put(self, sale: dict[str, object], branch: str, till: str) -> str:
        """Keep a sale under an id that no other has; gives the id."""
        with self.file:
            number = self.file.execute("INSERT INTO sale (fact) VALUES (NULL)").lastrowid
            fact = {
                "kind": "receipt",
                "source_id": f"{branch}-{till}-{number}",
                "branch": branch,
                "till": till,
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                **sale,
            }
            self.file.execute(
                "UPDATE sale SET fact = ? WHERE number = ?", (json.dumps(fact), number)
            )
        return str(fact["source_id"])

    def next(self) -> list[tuple[int, str]]:
        """The oldest sales, as many as one request takes; those that must wait are behind."""
        found = self.file.execute(
            "SELECT number, fact FROM sale ORDER BY tries, number LIMIT ?", (BATCH,)
        )
        return found.fetchall()

    def postpone(self, number: int) -> None:
        """It is sent again after the others."""
        with self.file:
            self.file.execute("UPDATE sale SET tries = tries + 1 WHERE number = ?", (number,))

    def settle(self, number: int, problem: dict[str, object] | None) -> None:
        """It is recorded; or it never will be, and somebody has to look at it."""
        with self.file:
            if problem is not None:
                self.file.execute(
                    "INSERT INTO refused SELECT number, fact, ? FROM sale WHERE number = ?",
                    (json.dumps(problem), number),
                )
            self.file.execute("DELETE FROM sale WHERE number = ?", (number,))


def send(queue: Queue, client: httpx2.Client) -> float:
    """Send the oldest sales once; gives for how many seconds to wait before the next time."""
    sales = queue.next()
    body = '{"items": [' + ",".join(fact for _, fact in sales) + "]}"
    try:
        answer = client.post(
            "/v1/facts/batch", content=body, headers={"Content-Type": "application/json"}
        )
    except httpx2.TransportError:
        return LONGEST_PAUSE_SECONDS
    if answer.status_code in LATER:
        return float(answer.headers.get("Retry-After", LONGEST_PAUSE_SECONDS))
    if not answer.is_success:
        raise SystemExit(f"nothing can be sent: {answer.status_code} {answer.text}")
    settled = 0
    for (number, _), item in zip(sales, answer.json()["items"], strict=True):
        problem = item.get("problem")
        kind = "" if problem is None else problem["type"].rpartition(":")[2]
        if kind in NOT_YET or item["status"] in LATER:
            queue.postpone(number)
        else:
            queue.settle(number, problem)
            settled += 1
    return 0.0 if settled else 1.0


def send_all(path: str, client: httpx2.Client, ended: threading.Event) -> None:
    """Send until the input has ended and all is answered; rest longer while nothing goes."""
    queue, tries = Queue(path), 0
    while True:
        last = ended.is_set()
        if queue.next():
            wanted = send(queue, client)
            tries = tries + 1 if wanted else 0
            # Many tills come back at the same moment when a line does: not all at once.
            time.sleep(min(wanted, 0.2 * 2**tries) * random.uniform(0.5, 1.0))
        elif last:
            return
        else:
            time.sleep(0.05)


def main() -> None:
    """Run the till."""
    options = argparse.ArgumentParser(description="A till with a queue on disk.")
    options.add_argument("queue", help="the file that keeps what is not answered yet")
    options.add_argument("--url", required=True, help="of the interaction service")
    options.add_argument("--branch", required=True)
    options.add_argument("--till", default="1")
    given = options.parse_args()
    headers = {"Authorization": f"Bearer {os.environ['REGULARS_KEY']}"}
    queue, ended = Queue(given.queue), threading.Event()
    with (
        httpx2.Client(base_url=given.url, headers=headers, timeout=30) as client,
        ThreadPoolExecutor(1) as beside,
    ):
        sending = beside.submit(send_all, given.queue, client, ended)
        try:
            for line in sys.stdin:
                print(queue.put(json.loads(line), given.branch, given.till), flush=True)
        finally:
            ended.set()
        sending.result()


if __name__ == "__main__":
    main()
