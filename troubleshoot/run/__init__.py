"""A diagnosis from its request to its report: plan, engine, events, composing."""
