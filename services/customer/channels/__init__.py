"""How this service reaches people itself: codes and links by mail."""
