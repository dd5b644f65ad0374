"""Images learnt whole: their grid, their targets, the tables beside them, and the study."""
