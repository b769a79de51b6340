"""The demo: a year of a grocery chain, sent through the public API as a till and a shop would."""
