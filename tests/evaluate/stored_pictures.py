"""What is in a table where a picture is."""

from __future__ import annotations

from evaluate.sample import Sample
from internvl.conversation import StoredPicture


def read_stored(sample: Sample) -> list[bytes]:
    """The pictures of a sample that lie in a table."""
    pictures = sample.prompt.images
    assert all(isinstance(picture, StoredPicture) for picture in pictures)
    return [picture.read() for picture in pictures if isinstance(picture, StoredPicture)]
