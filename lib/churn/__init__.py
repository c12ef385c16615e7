"""Who leaves, how healthy a customer is, and which intervention pays."""
