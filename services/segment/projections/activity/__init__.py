"""`activity`: when each customer bought, where and for how much, and since when they are known.

One document per customer; figures over many are sums that queries make of them. Whatever happens to
facts (returns, voids, moves, withdrawals) is given back exactly, in whatever order topics are read.
"""

from services.segment.projections.activity.document import Activity, BranchActivity
from services.segment.projections.activity.folding import ACTIVITY

__all__ = ["ACTIVITY", "Activity", "BranchActivity"]
