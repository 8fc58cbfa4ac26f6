"""The cellar: clock, errors, the egress guard, web edges. No models, a closed list of modules."""
