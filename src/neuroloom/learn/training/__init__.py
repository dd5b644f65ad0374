"""Training: the loop, its pace and budget, and nets as learners."""
