"""Every rule as a sentence for people, made from the same tree that is evaluated. Pure.

Texts are English in the code; what a catalogue of another language lacks is said in English.
"""
