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
succeeded  # pymongo
bson_type  # bson
transform_bson  # bson
AsyncIOMotorCollection  # a type that is subscriptable only for mypy
capture_signals  # uvicorn
handle_MAIL  # aiosmtpd
handle_RCPT  # aiosmtpd
nullable_schema  # pydantic
field_title_should_be_set  # pydantic
force_liquid_default  # python-liquid
context_class  # python-liquid
template_class  # python-liquid
loop_iteration_limit  # python-liquid
local_namespace_limit  # python-liquid
output_stream_limit  # python-liquid
pytestmark  # pytest
_session_timeout_ms  # aiokafka
readable  # io.RawIOBase
seekable  # io.RawIOBase
readinto  # io.RawIOBase
WriteableBuffer  # a type that is there for mypy alone

# Parameters of protocols: __exit__ and __aexit__ are handed them all.
trace
traceback

# Fields of answers, written for whoever asks over HTTP.
finished_at

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
previous
source_id
specversion
template
till
time_zone
trigger
wording
budget
per_minute
per_day
attribution_days
fallback_after
referrer
reward
welcome

# Answers of the API: fields for whoever calls.
amount_minor
recorded_time
average_minor
lifetime_minor
receipts_in_30_days
median_seconds
median_age_seconds
member_share
base_share
churn_risk
expected_turnover_minor
baskets_other
blacklisting
followed_by
handed_from
mean_milliseconds
longest_milliseconds
holdout
taken_at  # of a dead letter
next_cursor
next_timer
open_messages
percentile_spent
percentile_receipts
percentile_average
requested
last_recorded
last_time
value_minor
margin_minor
returned_minor
tips_minor
favourite_branch
top_categories
spent_minor
usable_minor
most_minor

# Models and structs that tests make to be looked at by their fields.
barks
born
city
coupon_line
street

# Fields of read models that only the database reads, in its own groups and filters.
close_month
noted_at
first_branch
second_branch

# Called by Liquid and by the parser of HTML, by their names.
handle_comment
handle_data
handle_endtag
handle_starttag
node_class
render_to_output

# Of answers, read by callers.
entered_at
explanation
open_journeys
spent_this_month
spent_today
version_channel
waits_until

# Of the figures of campaigns, read by callers.
bought_in_holdout
by_channel
by_day
by_variant
cost_minor
customers_against
share_of_buyers
turnover_per_customer_minor
unsubscribed
uplift
