"""What the reports of microscopy's recipes say and show."""
