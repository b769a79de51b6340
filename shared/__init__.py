"""The kernel that every service stands on. It knows no service."""
