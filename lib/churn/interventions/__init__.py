"""What to do about customers who may leave: playbooks, the plan of a day, and what it changed."""
