"""Made-up ISPs of any size, drawn from a seed: for builders of pages, for trials, and for `bench pages`."""
