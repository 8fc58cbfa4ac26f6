"""Samples, texts and events of entities: written through `store`, read through `queries`."""
