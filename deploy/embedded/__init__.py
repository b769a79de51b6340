"""Kafka, a MongoDB-compatible server and a mail catcher as children of one process.

For machines without Docker, Java and MongoDB. Nothing here is known to the services: they get
URLs. `stack.EmbeddedStack` is the way in; `python -m deploy.embedded` is the same from outside.
"""
