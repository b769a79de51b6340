"""`python -m services.segment --role api|worker|relay|all`."""

from services.segment.main import main

main()
