"""Images and volumes, whose formats stand in `IMAGES` of `core/registry.py`.

- `read_image`, `peek_image`, `read_window` and `write_image` go by the suffix; `to_array` gives
  (channel, *axes) of what was read.
- `read_label` reads what a file says as a mask.
- One file a format, with `read(path)`, `peek(path)`, `write(path, recording)` and, where it can
  read a part of a file, `crop(path, window)`; `read_label(path)` where a mask is read otherwise.
"""

from neuroloom.io.images.door import (
    ImageHeader,
    check_window,
    image_stem,
    image_suffix,
    is_image,
    peek_image,
    read_image,
    read_label,
    read_window,
    smallest_type,
    split_address,
    to_array,
    write_image,
)

__all__ = [
    "ImageHeader",
    "check_window",
    "image_stem",
    "image_suffix",
    "is_image",
    "peek_image",
    "read_image",
    "read_label",
    "read_window",
    "smallest_type",
    "split_address",
    "to_array",
    "write_image",
]
