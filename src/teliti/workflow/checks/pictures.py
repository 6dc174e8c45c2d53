"""The small pictures that a page of findings shows, decoded once more: only those of the cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from teliti.data.decoded import read_photo
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused
from teliti.report.check_page import MOST_CARDS
from teliti.report.pictures import THUMBNAIL_SIZE, shrink_to
from teliti.types import Record, Sample, UInt8Image


def gather_check_pictures(record: Record, samples: Sequence[Sample]) -> dict[str, UInt8Image]:
    """Pictures by photo name: the first cards of each kind, and the middle of each cluster.

    Args:
        record: With summary, findings and perhaps clusters.
        samples: The photos.
    """
    by_name = {sample.name: sample for sample in samples}
    wanted = [str(cluster["example"]) for cluster in record.get("clusters", [])]
    shown = Counter[tuple[str, str]]()
    for finding in record["findings"]:
        place = (finding["kind"], finding["severity"])
        if finding["paths"] and shown[place] < MOST_CARDS:
            shown[place] += 1
            wanted += finding["paths"][:2]
            if finding["kind"] == "add_photo":  # of the pool, whose names are paths
                by_name |= {path: Sample(path, FileOrigin(path)) for path in finding["paths"]}
    return shrink_photos([by_name[name] for name in dict.fromkeys(wanted) if name in by_name])


def shrink_photos(samples: Sequence[Sample]) -> dict[str, UInt8Image]:
    """Thumbnails by name, (H, W, 3) uint8; a photo that cannot be used has none.

    Args:
        samples: The photos.
    """
    found = {}
    for sample in samples:
        try:
            found[sample.name] = shrink_to(read_photo(sample), THUMBNAIL_SIZE)
        except PhotoRefused:
            continue
    return found
