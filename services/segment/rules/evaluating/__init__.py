"""The plain interpreter: is the rule true of this customer at this moment, and until when?

Besides its truth, each clause gives the next instant at which time alone changes it: as facts only
leave a window (at exactly time + span, since a window is open at its old end), that instant can be
searched for and is exact. A joining form gives an instant before which its truth cannot change by
time, and evaluating again there settles it; so a timer set by `next` misses nothing.
"""
