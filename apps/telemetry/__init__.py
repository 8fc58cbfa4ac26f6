"""Samples, texts and events of entities: one door in (`store`), one door out (`queries`)."""
