"""The rule language: what a marketer may ask about a customer, as JSON.

A rule is a tree of forms told apart by `kind`. The models are strict and know no extra fields, so
that a typing error is an error and never a rule that means something else; their JSON Schema is
public (`rule_schema`). `services.segment.rules.reading` turns JSON into a rule and says what would
be right; nothing else makes rules from outside.

*Within P at t* means (t − P, t]. A receipt is any basket, also one worth 0. Amounts are minor
units. A rule is false or true, never unknown: what is not known of a customer is not equal to
anything.
"""
