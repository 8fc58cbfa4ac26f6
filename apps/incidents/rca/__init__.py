"""Root causes as pure functions: no ORM, no clock, the same bytes for the same input."""
