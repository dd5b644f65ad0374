"""How nets learn tasks: batches, curricula, rewards, and how good they are on fresh trials."""
