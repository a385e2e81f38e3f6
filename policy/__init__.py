"""The policy pack: rules that review the plan of a pair, as plain functions over plain data.

`__main__.py` is the file that the engine starts (`pulumi preview --policy-pack policy`). `rules/` holds one family of
rules per file. `review` runs the same functions without the engine.
"""
