"""Series: asked for, begun by what happens, and led on by timers."""
