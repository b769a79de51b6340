"""`python -m services.notify --role api|worker|relay|all`."""

from services.notify.main import main

main()
