"""The services. Each owns one database, publishes its own topics and knows no other service."""
