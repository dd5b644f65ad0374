"""An encoder without labels: places for any montage, hidden ones put together, what is kept."""
