"""From cases to a plan, and from files to what a plan wants of them."""
