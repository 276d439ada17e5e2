"""The tables. Hot rows are narrow, the log only grows, the user's id stands in every hot key. Instants are BIGINT ms."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
Key = String(32)
BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by INTEGER PRIMARY KEY only

releases = Table(
    "releases", metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("audience", Text, nullable=False),
    Column("audience_digest", String(64), nullable=False),
    Column("author", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
    Column("follows", Integer, nullable=False),  # the release before (0: none): of two that follow the same one, the second is refused
    Index("releases_follow", "follows", unique=True),
)  # fmt: skip
moves = Table(
    "moves", metadata,
    Column("release_id", Integer, ForeignKey("releases.id"), nullable=False),
    Column("journey", String(64), nullable=False),
    Column("way", String(8), nullable=False),
    Column("steps", Text, nullable=False),
    Column("cursor", BigInteger, nullable=False, server_default="0"),
    Column("done_at", BigInteger),
    PrimaryKeyConstraint("release_id", "journey"),
)  # fmt: skip
pauses = Table(
    "pauses", metadata,
    Column("id", Integer, primary_key=True),
    Column("journey", String(64), nullable=False),
    Column("paused_at", BigInteger, nullable=False),
    Column("paused_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("resumed_at", BigInteger),
    Column("resumed_by", Text),
    Index("pauses_now", "journey", unique=True, postgresql_where=text("resumed_at IS NULL"), sqlite_where=text("resumed_at IS NULL")),
)  # fmt: skip
versions = Table(
    "versions", metadata,
    Column("id", Integer, primary_key=True),
    Column("journey", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("language", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("origins", Text, nullable=False, server_default="{}"),  # by step: the name that it first had
    UniqueConstraint("journey", "number"),
)  # fmt: skip
release_versions = Table(
    "release_versions", metadata,
    Column("release_id", Integer, ForeignKey("releases.id"), nullable=False),
    Column("version_id", Integer, ForeignKey("versions.id"), nullable=False),
    PrimaryKeyConstraint("release_id", "version_id"),
)  # fmt: skip
users = Table(
    "users", metadata,
    Column("user_id", Text, primary_key=True),
    Column("zone", String(64), nullable=False, server_default=""),
    Column("profile", Text, nullable=False, server_default="{}"),
    Column("reach", Text, nullable=False, server_default="{}"),
    Column("segments", Text, nullable=False, server_default="{}"),
    Column("stage", String(64), nullable=False, server_default=""),
    Column("audience", String(64), nullable=False, server_default=""),
    Column("recheck_at", BigInteger),
    Column("evaluated_at", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False, server_default="0"),
    Column("anonymous", Boolean, nullable=False, server_default=text("false")),  # known by identities only, by no id of the operator's
    Column("merged_into", Text),  # she is somebody else's former id: everything of hers stands there
    Index("users_recheck", "recheck_at", postgresql_where=text("recheck_at IS NOT NULL"), sqlite_where=text("recheck_at IS NOT NULL")),
    Index("users_merged", "merged_into",
          postgresql_where=text("merged_into IS NOT NULL"), sqlite_where=text("merged_into IS NOT NULL")),
)  # fmt: skip
events = Table(
    "events", metadata,
    Column("id", BigId, primary_key=True),
    Column("source", String(64), nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Column("history", Boolean, nullable=False, server_default=text("false")),  # imported as known already: it moved nobody
    UniqueConstraint("source", "event_id", name="events_once"),
    Index("events_of_user", "user_id", "time"),
    sqlite_autoincrement=True,
)  # fmt: skip
inbox = Table(
    "inbox", metadata,
    Column("id", BigId, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("event_row", BigInteger),
    Column("payload", Text),
    Column("received_at", BigInteger, nullable=False),
    Index("inbox_of_user", "user_id"),
    sqlite_autoincrement=True,
)  # fmt: skip
enrolments = Table(
    "enrolments", metadata,
    Column("id", BigId, primary_key=True),
    Column("key", Key, nullable=False),
    Column("version_id", Integer, nullable=False),
    Column("journey", String(64), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("slot", String(32), nullable=False, server_default=""),
    Column("state", String(80), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("begun_at", BigInteger, nullable=False),
    Column("entered_at", BigInteger, nullable=False),
    Column("goal_until", BigInteger),
    Column("converted_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("ended_by", String(80)),
    Column("context", Text, nullable=False),
    # with state, status and begin beside: who stands where is counted without a look at the wide rows
    Index("enrolments_due", "version_id", "due_at", "state", "status", "begun_at",
          postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
    Index("enrolments_without_timer", "version_id", "state",
          postgresql_where=text("due_at IS NULL AND status < 2"), sqlite_where=text("due_at IS NULL AND status < 2")),
    Index("enrolments_of_user", "user_id", "journey"),  # the journey too: entries into one are found without a look at the others
    Index("enrolments_key", "key", unique=True),
    Index("enrolments_one_live", "journey", "user_id", "subject", "slot", unique=True,
          postgresql_where=text("status < 2"), sqlite_where=text("status < 2")),
)  # fmt: skip
log = Table(
    "log", metadata,
    Column("id", BigId, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("enrolment_id", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    Column("entries", Text, nullable=False),
    Index("log_of_user", "user_id", "id"),
)  # fmt: skip
refusals = Table(
    "refusals", metadata,
    Column("user_id", Text, nullable=False),
    Column("journey", String(64), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("times", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    PrimaryKeyConstraint("user_id", "journey", "reason"),
)  # fmt: skip
messages = Table(
    "messages", metadata,
    Column("key", Key, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("enrolment_id", BigInteger, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("journey", String(64), nullable=False),
    Column("version_id", Integer, nullable=False),
    Column("step", String(80), nullable=False),
    Column("visit", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("lane", String(80), nullable=False, server_default=""),  # the adapter: sms, robot:NAME, grant:BENEFIT, call:ENDPOINT
    Column("template", String(64)),
    Column("purpose", String(16), nullable=False),
    Column("topic", String(64)),
    Column("priority", SmallInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", Text),
    Column("content", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, server_default="0"),  # lateness counts from here: a hold moves it, an outage does not
    Column("begun_at", BigInteger),  # its first intent: from then on it is a touch
    Column("expires_at", BigInteger),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("lease_until", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("ambiguous", Integer, nullable=False, server_default="0"),
    Column("cancelled", Boolean, nullable=False, server_default=text("false")),
    Column("reference", Text),
    Column("settled_at", BigInteger),
    Index("messages_pending", "lane", "not_before", postgresql_where=text("state = 'PENDING'"), sqlite_where=text("state = 'PENDING'")),
    Index("messages_unknown", "not_before", postgresql_where=text("state = 'UNKNOWN'"), sqlite_where=text("state = 'UNKNOWN'")),
    Index("messages_leased", "lease_until",
          postgresql_where=text("lease_until IS NOT NULL"), sqlite_where=text("lease_until IS NOT NULL")),
    Index("messages_expiring", "expires_at",
          postgresql_where=text("state = 'PENDING' AND expires_at IS NOT NULL"),
          sqlite_where=text("state = 'PENDING' AND expires_at IS NOT NULL")),
    Index("messages_of_user", "user_id", "created_at"),
    Index("messages_of_enrolment", "enrolment_id"),
)  # fmt: skip
Index(  # the order of a claim: it reads what it takes, not all that is due
    "messages_urgent", messages.c.lane, messages.c.priority.desc(), messages.c.not_before, messages.c.key,
    postgresql_where=text("state = 'PENDING'"), sqlite_where=text("state = 'PENDING'"),
)  # fmt: skip
attempts = Table(
    "attempts", metadata,
    Column("id", BigId, primary_key=True),
    Column("message_key", Key, nullable=False),
    Column("position", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("vendor_key", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("reference", Text),
    Column("reason", Text),
    Column("lane", String(80), nullable=False, server_default=""),
    Column("address", Text, nullable=False, server_default=""),
    Column("credit", Text),  # the vendor template of which one subscription is reserved by this attempt
    Column("content", Text),  # kept when the message went on to another position
    Column("settled_by", String(16)),  # of one that was UNKNOWN: answer (a late one), lookup or receipt
    UniqueConstraint("message_key", "position", "n", name="attempts_once"),
    Index("attempts_reference", "reference", postgresql_where=text("reference IS NOT NULL"), sqlite_where=text("reference IS NOT NULL")),
)  # fmt: skip
watches = Table(
    "watches", metadata,
    Column("watched_id", Text, nullable=False),
    Column("watcher_id", Text, nullable=False),
    Column("enrolment_key", Key, nullable=False),
    PrimaryKeyConstraint("watched_id", "watcher_id", "enrolment_key"),
    Index("watches_of_enrolment", "enrolment_key"),
)  # fmt: skip
budgets = Table(
    "budgets", metadata,
    Column("benefit", String(64), primary_key=True),
    Column("total", BigInteger),
    Column("reserved", BigInteger, nullable=False, server_default="0"),
    Column("issued", BigInteger, nullable=False, server_default="0"),
)  # fmt: skip
populations = Table(
    "populations", metadata,
    Column("id", Integer, primary_key=True),
    Column("journey", String(64), nullable=False),
    Column("fact_id", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("cursor", Text, nullable=False, server_default=""),
    Column("done_at", BigInteger),
    UniqueConstraint("journey", "fact_id", name="populations_once"),
)  # fmt: skip
paces = Table(
    "paces", metadata,
    Column("journey", String(64), primary_key=True),
    Column("window_at", BigInteger, nullable=False, server_default="0"),
    Column("taken", Integer, nullable=False, server_default="0"),
)  # fmt: skip
unmapped = Table(
    "unmapped", metadata,
    Column("source", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # event, property, trait; of a misfit what was expected
    Column("name", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("found", String(16), nullable=False, server_default=""),  # of a misfit, the type of the latest value
    PrimaryKeyConstraint("source", "kind", "name"),
)  # fmt: skip
catalogue_items = Table(
    "catalogue_items", metadata,
    Column("source", String(64), nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("properties", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "type", "id"),
)  # fmt: skip
tallies = Table(
    "tallies", metadata,
    Column("journey", String(64), nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970 on the clock of the project
    Column("what", String(16), nullable=False),
    Column("detail", String(80), nullable=False),
    Column("n", BigInteger, nullable=False),
    PrimaryKeyConstraint("journey", "day", "what", "detail"),
)  # fmt: skip
received = Table(
    "received", metadata,
    Column("source", String(64), nullable=False),
    Column("day", Integer, nullable=False),  # as of tallies
    Column("outcome", String(16), nullable=False),
    Column("reason", String(16), nullable=False),  # of a signature that was refused
    Column("n", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "day", "outcome", "reason"),
)  # fmt: skip
quarantine = Table(
    "quarantine", metadata,
    Column("id", BigId, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("user_id", Text, nullable=False, server_default=""),
    Column("source", String(64), nullable=False, server_default=""),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
)  # fmt: skip
imports = Table(
    "imports", metadata,
    Column("key", Key, primary_key=True),  # of the file's mark and of how it is read
    Column("kind", String(16), nullable=False),
    Column("source", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("rows", BigInteger, nullable=False),  # read so far, the rejected ones too
    Column("accepted", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
)  # fmt: skip
receipts = Table(
    "receipts", metadata,
    Column("id", BigId, primary_key=True),
    Column("lane", String(80), nullable=False),
    Column("key", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("delivered", Boolean, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("blames", String(16), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("message_key", Key),  # empty while nobody knows what it belongs to
    UniqueConstraint("lane", "key", "reference", "delivered", name="receipts_once"),
    Index("receipts_of_message", "message_key"),
)  # fmt: skip
heard = Table(
    "heard", metadata,
    Column("lane", String(80), nullable=False),
    Column("id", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("lane", "id"),
)  # fmt: skip
identities = Table(
    "identities", metadata,
    Column("kind", String(32), nullable=False),
    Column("value", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    PrimaryKeyConstraint("kind", "value", "user_id"),
    Index("identities_of_user", "user_id"),
)  # fmt: skip
subscriptions = Table(
    "subscriptions", metadata,
    Column("address", Text, nullable=False),
    Column("template_id", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("address", "template_id"),
)  # fmt: skip
consents = Table(
    "consents", metadata,
    Column("id", BigId, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("wording", Text, nullable=False),
    Column("said_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("consents_of_user", "user_id", "id"),
)  # fmt: skip
suppressions = Table(
    "suppressions", metadata,
    Column("channel", String(64), nullable=False),
    Column("address", Text, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("channel", "address", "purpose"),
)  # fmt: skip
flow = Table(
    "flow", metadata,
    Column("lane", String(80), primary_key=True),
    Column("next_at", BigInteger, nullable=False, server_default="0"),  # microseconds: when the next message is in time for the rate
    Column("paused_until", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
)  # fmt: skip
circuits = Table(
    "circuits", metadata,
    Column("lane", String(80), nullable=False),
    Column("template", String(64), nullable=False),  # empty: the whole channel
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("probe_at", BigInteger, nullable=False),
    Column("probes", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("lane", "template"),
)  # fmt: skip
tokens = Table(
    "tokens", metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)  # fmt: skip
daemons = Table(
    "daemons", metadata,
    Column("id", Key, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)  # fmt: skip
