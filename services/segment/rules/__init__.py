"""Rules: the language, its sentences, the interpreter, and the set of those that live."""
