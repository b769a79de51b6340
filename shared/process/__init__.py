"""What every service's process is made of, and how it runs in its roles."""

from shared.process.assembly import WaysIn, assemble, start
from shared.process.kernel import Kernel
from shared.process.reporting import Reports
from shared.process.running import ROLES, Parts, Role

__all__ = [
    "ROLES",
    "Kernel",
    "Parts",
    "Reactions",
    "Reports",
    "Role",
    "WaysIn",
    "assemble",
    "start",
]
