"""What notify does: campaigns, series and letters on request, messages by itself."""
