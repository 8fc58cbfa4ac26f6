"""Rules as data: compiled once, evaluated without database or clock."""
