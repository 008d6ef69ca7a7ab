"""The repairs, one declarative module each, in the order in which a command tries them: the first match decides."""

from __future__ import annotations

from dataclasses import replace

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs import (
    agent_dead,
    compute_agent_left,
    compute_aggregate_left,
    compute_allocation_left,
    compute_host_dead,
    compute_mapping_left,
    compute_node_left,
    compute_node_mapped,
    compute_provider_left,
    compute_service_twin,
    compute_token_left,
    compute_volume_service_left,
    deleted_soft,
    drain_host,
    drain_server,
    guest_down,
    host_unmapped,
    image_cached,
    image_pending_delete,
    image_purge,
    instance_hidden,
    instance_leftovers,
    instance_mapping_left,
    instance_present,
    instance_rows_kept,
    instance_terminate_disabled,
    mapping_boot_disk,
    mapping_duplicate,
    mapping_elsewhere,
    mapping_misdirected,
    mapping_unheld,
    mapping_volume_gone,
    placement_allocation_missing,
    placement_allocation_orphaned,
    placement_allocation_unrecorded,
    placement_consumer_empty,
    placement_provider_left,
    placement_provider_renamed,
    port_binding_failed,
    port_orphaned,
    quota_reservation_expired,
    quota_usage_duplicate,
    quota_usage_wrong,
    state_building,
    state_error,
    state_task,
    state_task_kept,
    volume_abandoned,
    volume_attach_interrupted,
    volume_attach_never_started,
    volume_attached_not_in_use,
    volume_attachment_foreign,
    volume_attachment_orphaned,
    volume_attachment_unproven,
    volume_creating,
    volume_delete_failed,
    volume_deleting,
    volume_detach_hung,
    volume_detach_impossible,
    volume_host_fenced,
    volume_image_copy,
    volume_in_operation,
    volume_mapping_dangling,
    volume_mapping_legacy,
)

VOLUME_UNSTICK: tuple[Repair, ...] = (
    *volume_in_operation.REPAIRS,
    volume_mapping_legacy.REPAIR,
    volume_attachment_unproven.REPAIR,
    volume_attachment_foreign.REPAIR,
    volume_host_fenced.REPAIR,
    *volume_mapping_dangling.REPAIRS,
    volume_attachment_orphaned.REPAIR,
    volume_attached_not_in_use.REPAIR,
    volume_detach_impossible.REPAIR,
    volume_detach_hung.REPAIR,
    volume_attach_interrupted.REPAIR,
    volume_attach_never_started.REPAIR,
    volume_abandoned.REPAIR,
    volume_creating.REPAIR,
    volume_deleting.REPAIR,
    volume_delete_failed.REPAIR,
    volume_image_copy.REPAIR,
)

#: Repairs of stuck volumes that also bring the two sides together, tried only where cinder and nova do not agree.
_ALSO_APART: tuple[tuple[Repair, ...], ...] = tuple(
    tuple(replace(repair, when=(is_("volume.sides_agree", False), *repair.when)) for repair in repairs)
    for repairs in (
        (*volume_in_operation.REPAIRS, volume_mapping_legacy.REPAIR),
        (volume_attachment_unproven.REPAIR,),
        (
            *volume_mapping_dangling.REPAIRS, volume_attachment_orphaned.REPAIR, volume_attached_not_in_use.REPAIR,
            volume_abandoned.REPAIR,
        ),
    )
)

VOLUME_RECONCILE: tuple[Repair, ...] = (
    *mapping_volume_gone.REPAIRS,
    *_ALSO_APART[0],
    mapping_boot_disk.REPAIR,
    mapping_duplicate.REPAIR,
    *mapping_elsewhere.REPAIRS,
    volume_host_fenced.REPAIR,
    mapping_misdirected.REPAIR,
    *_ALSO_APART[1],
    mapping_unheld.REPAIR,
    *_ALSO_APART[2],
)

QUOTA_SYNC: tuple[Repair, ...] = (
    quota_reservation_expired.REPAIR,
    quota_usage_duplicate.REPAIR,
    quota_usage_wrong.REPAIR,
)

IMAGE_PURGE: tuple[Repair, ...] = (
    image_pending_delete.REPAIR,
    image_cached.REPAIR,
    image_purge.REPAIR,
)

#: What the API can do comes first, so that a run without --commit gets as far as it can.
COMPUTE_PURGE: tuple[Repair, ...] = (
    *compute_host_dead.REPAIRS,
    compute_provider_left.REPAIR,
    compute_agent_left.REPAIR,
    compute_volume_service_left.REPAIRS[0],
    compute_allocation_left.REPAIR,
    compute_service_twin.REPAIR,
    compute_node_left.REPAIR,
    compute_aggregate_left.REPAIR,
    compute_mapping_left.REPAIR,
    compute_node_mapped.REPAIR,
    compute_token_left.REPAIR,
    compute_volume_service_left.REPAIRS[1],
)

PLACEMENT_CLEAN: tuple[Repair, ...] = (
    placement_allocation_orphaned.REPAIR,
    placement_allocation_unrecorded.REPAIR,
    placement_consumer_empty.REPAIR,
    placement_allocation_missing.REPAIR,
    placement_provider_renamed.REPAIR,
    *placement_provider_left.REPAIRS,
)

PORT_REPAIR: tuple[Repair, ...] = (
    port_orphaned.REPAIR,
    port_binding_failed.REPAIR,
)

COMPUTE_DISCOVER: tuple[Repair, ...] = (host_unmapped.REPAIR,)

COMPUTE_DRAIN_HOST: tuple[Repair, ...] = (drain_host.REPAIR,)

COMPUTE_DRAIN: tuple[Repair, ...] = (drain_server.REPAIR,)

#: A nova-compute among the agents is purged as COMPUTE_PURGE does it.
AGENT_CLEAN: tuple[Repair, ...] = agent_dead.REPAIRS

INSTANCE_PURGE: tuple[Repair, ...] = (
    instance_terminate_disabled.REPAIR,
    *instance_hidden.REPAIRS,
    instance_present.REPAIR,
    *instance_leftovers.REPAIRS,
    *instance_mapping_left.REPAIRS,
    *instance_rows_kept.REPAIRS,
)

INSTANCE_RESET_STATE: tuple[Repair, ...] = (
    state_building.REPAIR,
    *state_task.REPAIRS,
    state_task_kept.REPAIR,
    state_error.REPAIR,
)

INSTANCE_RECOVER: tuple[Repair, ...] = guest_down.REPAIRS

INSTANCE_RESTORE: tuple[Repair, ...] = (deleted_soft.REPAIR,)
