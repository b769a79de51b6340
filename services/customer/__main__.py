"""`python -m services.customer --role api|worker|relay|all`."""

from services.customer.main import main

main()
