"""What comes back: reports, bounces, replies, and what people do by links."""
