"""The demo kit: a simulated ISP is made known over REST, stories are played on it and what was said is checked."""
