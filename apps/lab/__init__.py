"""Demo scenarios, made-up data, benchmarks and the gallery. Not part of the production image."""
