"""What vulture does not see used, and who uses it.

Read before adding: a name here is not found any more when it really dies.
"""

# Called by libraries under these names.
handle_DATA  # aiosmtpd
do_GET  # http.server
log_message  # http.server
server_version  # http.server
sys_version  # http.server
model_config  # pydantic

# Parameters of protocols: __exit__ and __aexit__ are handed them all.
trace
traceback

# The contract: fields of events, written for whoever subscribes.
birth_date
cashier
causationid
contact
coupon_match
evidence
holdout_percent
identified_by
identifier
identifiers
internal
occurrence
patronymic
product
quantity
reference
source
source_id
specversion
template
till
time_zone
trigger
wording
