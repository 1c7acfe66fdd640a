"""The contracts that producers, consumers and dashboard share; imports none of them."""
