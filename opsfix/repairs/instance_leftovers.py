"""What cinder, neutron and placement still keep for a server that is gone."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.instance_common import GONE
from opsfix.server_steps import FreeAllocation, FreePorts, FreeVolumes

NO_GUEST = is_(
    "attachments.guest", "absent",
    "the guest {attachments_guest} and still write to its volumes: make sure that the host is off and repeat with --fenced HOST",
)
OF_SERVER = is_(
    "allocation.of_server", True,
    "placement does not say that server {server_id} is one, and nova knows nothing of it: it may be a migration or another service's",
)

REPAIRS = (
    Repair(
        symptom="instance-leftovers",
        means="cinder keeps attachments of a server that is gone",
        when=(GONE, is_not("attachments.left", 0)),
        only_if=(NO_GUEST,),
        api=(FreeVolumes(),),
        fixed_when=(is_("attachments.left", 0),),
    ),
    Repair(
        symptom="instance-leftovers",
        means="neutron keeps ports of a server that is gone",
        when=(GONE, is_not("ports.left", 0)),
        api=(FreePorts(),),
        fixed_when=(is_("ports.left", 0),),
    ),
    Repair(
        symptom="instance-leftovers",
        means="placement keeps an allocation of a server that is gone",
        when=(GONE, is_("allocation.held", True)),
        only_if=(OF_SERVER,),
        api=(FreeAllocation(),),
        fixed_when=(is_("allocation.held", False),),
    ),
)
