"""Guards that the repairs of images share: nobody may still need the image."""

from __future__ import annotations

from opsfix.guards import is_

SHOWN = is_(
    "image.shown", True,
    "glance's API does not show it, and its table has a live row of it: opsfix needs an administrator who sees every image",
)
NOT_KEPT = is_("image.kept", False, "it is protected: somebody wants it kept; ask its owner, then repeat with --unprotect")
NOT_MOVED = is_(
    "image.moved", False, "it was {image_found_as} and is now {image_status}: somebody is at work on it, so let them finish"
)
CELLS = is_("cells.up", True, "a cell of nova is down, so nobody knows which of its servers need the image: bring the cell up first")
NO_SERVER = is_(
    "servers.count", 0,
    "{servers_count} servers were booted from it ({servers_ids}), and nova needs it to rebuild or move them: delete or rebuild them first",
)
NO_SHELVED = is_(
    "shelved.count", 0,
    "it is the disk of a shelved server ({shelved_ids}), which would be lost: unshelve the server first, or delete it",
)
NO_BUILD = is_(
    "builds.count", 0,
    "servers are being built that may need it ({builds_ids}): wait until they are active or have failed",
)
SOURCE_IDLE = is_(
    "source.task_state", None,
    "server {source_id}, of which it is a snapshot, is busy ({source_task_state}): wait, or reset the server's state first",
)
NO_VOLUME = is_(
    "volumes.count", 0,
    "volumes are being made that may be copies of it ({volumes_ids}): wait, or free them with 'opsfix volume unstick'",
)
NO_UPLOAD = is_(
    "uploads.count", 0,
    "volumes of its project are being uploaded, perhaps to it ({uploads_ids}): wait, or free them with 'opsfix volume unstick'",
)
NO_SNAPSHOT = is_(
    "snapshots.count", 0,
    "other images name it as what they are made from ({snapshots_ids}): delete them first, or take their property base_image_ref"
    " away where they do not depend on it",
)
NO_STRANGE_CACHE = is_(
    "cached_odd.count", 0,
    "volumes that may be cinder's cached copies of it are in use or not known as such ({cached_odd_ids}): configure cinder's"
    " database, or look at them and delete them with cinder",
)
KNOWN_STORES = is_(
    "strange_stores.count", 0,
    "its data is in a store that glance no longer has ({strange_stores_ids}), and would be left there: configure that store again",
)

#: What the image needs to be before anything of it is taken away.
UNUSED = (
    NOT_MOVED, CELLS, NO_SERVER, NO_SHELVED, NO_BUILD, SOURCE_IDLE, NO_VOLUME, NO_UPLOAD, NO_SNAPSHOT, NO_STRANGE_CACHE,
)
DELETABLE = (SHOWN, NOT_KEPT, KNOWN_STORES, *UNUSED)
