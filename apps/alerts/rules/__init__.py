"""Rules as data: compiled once, judged without database or clock."""
