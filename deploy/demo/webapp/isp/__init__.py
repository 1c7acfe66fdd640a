"""The internet provider's side of Krill: customers, their CPEs and phone lines."""
