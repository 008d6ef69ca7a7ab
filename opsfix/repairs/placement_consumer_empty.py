"""The record of a consumer that holds nothing: placement takes it away with the last allocation, unless it was cut off."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Fallback, Repair
from opsfix.repairs.placement_common import STILL

REPAIR = Repair(
    symptom="placement-consumer-empty",
    means="placement has a record of a consumer to which nothing is allocated, and no call deletes it",
    when=(is_("consumer.empty", True), is_("consumer.standing", "dead"), is_("consumer.settled", True)),
    only_if=(STILL,),
    fixed_when=(is_("consumer.empty", False),),
    fallback=Fallback(
        "placement_consumer_empty.placement",
        (
            is_("consumer.held", False, in_sql=True),
            is_("consumer.settled", True, in_sql=True),
            is_("consumer.standing", "dead"),
        ),
    ),
)
