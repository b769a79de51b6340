"""`python -m services.interaction --role api|worker|relay|all`."""

from services.interaction.main import main

main()
