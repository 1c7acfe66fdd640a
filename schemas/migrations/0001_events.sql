-- Granules are small, since a page wants a hundred rows that lie far apart: of each its granule is read.
CREATE TABLE IF NOT EXISTS api_requests (
    event_id UUID COMMENT 'Identity of the event, made by the producer (UUID version 7)',
    requested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the request arrived at Krill',
    user LowCardinality(String) COMMENT 'User name of the caller; Anonymous if none',
    user_id String COMMENT 'Primary key of the user in Krill; empty if none',
    remote_addr IPv6 COMMENT 'Address of the caller, IPv4 as ::ffff:a.b.c.d; :: if unknown',
    method LowCardinality(String) COMMENT 'HTTP method in upper case',
    path String COMMENT 'Path as requested, without the query string',
    route LowCardinality(String) COMMENT 'Path with every identifier replaced by {id}',
    api_version LowCardinality(String) COMMENT 'v1, v2, …; empty outside the API',
    app LowCardinality(String) COMMENT 'Krill application, such as isp or monitoring; empty if the path names none',
    object_type LowCardinality(String) COMMENT 'Kind of object: cpe, customer, pots, user, or the singular of the path''s noun',
    object_id String COMMENT 'Identifier of the object in the path; empty for a collection',
    action LowCardinality(String) COMMENT 'list, retrieve, create, update, partial_update, destroy or the name of an extra action',
    host LowCardinality(String) COMMENT 'Host header of the request',
    view LowCardinality(String) COMMENT 'Dotted name of the view class that answered; empty if no view did',
    view_method LowCardinality(String) COMMENT 'Method of the view that answered',
    status_code UInt16 COMMENT 'HTTP status of the answer',
    response_ms Float64 COMMENT 'Response time in milliseconds',
    query_params String COMMENT 'Query string as a JSON object; empty if none',
    data String COMMENT 'Body of the request as JSON; empty if none',
    response String COMMENT 'Body of the answer as JSON; empty if none',
    errors String COMMENT 'Error text or traceback; empty if none',
    user_agent LowCardinality(String) COMMENT 'User-Agent header of the request',
    request_id String COMMENT 'Identity of the HTTP request; an admin change that it caused carries the same',
    masked Array(LowCardinality(String)) COMMENT 'Names of the fields whose values were masked',
    truncated Array(LowCardinality(String)) COMMENT 'Names of the columns whose values were cut because of their size',
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the worker stored the row',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the message this row was made from',
    kafka_topic_id UUID COMMENT 'Kafka''s identity of that topic: one that was deleted and made again has another',
    kafka_partition Int32 COMMENT 'Partition of that message',
    kafka_offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of that message',
    INDEX event_id_index event_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX request_id_index request_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX kafka_offset_index kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(requested_at)
ORDER BY (requested_at, event_id)
SETTINGS index_granularity = 2048, non_replicated_deduplication_window = 10000
COMMENT 'One row per request to Krill''s API';

CREATE TABLE IF NOT EXISTS admin_changes (
    event_id UUID COMMENT 'Identity of the event, made by the producer (UUID version 7)',
    changed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the change was made in Krill',
    user LowCardinality(String) COMMENT 'User name of who made the change; empty if made by no user',
    user_id String COMMENT 'Primary key of the user in Krill; empty if none',
    action Enum8('addition' = 1, 'change' = 2, 'deletion' = 3) COMMENT 'What was done to the object',
    app_label LowCardinality(String) COMMENT 'Django application of the object, such as isp',
    model LowCardinality(String) COMMENT 'Django model of the object, such as cpe',
    object_type LowCardinality(String) COMMENT 'Kind of object: customer, cpe, pots, user, or the model',
    object_id String COMMENT 'Primary key of the object',
    object_repr String COMMENT 'The object as Krill prints it',
    change_message String COMMENT 'The Django admin''s own message: JSON, or older free text',
    changed_fields Array(LowCardinality(String)) COMMENT 'Names of the fields that changed',
    changes String COMMENT 'JSON list of {field, old, new}; empty if the values are not known',
    remote_addr IPv6 COMMENT 'Address of who made the change, IPv4 as ::ffff:a.b.c.d; :: if unknown',
    request_id String COMMENT 'Identity of the HTTP request that caused the change; empty if none did',
    masked Array(LowCardinality(String)) COMMENT 'Names of the fields whose values were masked',
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the worker stored the row',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the message this row was made from',
    kafka_topic_id UUID COMMENT 'Kafka''s identity of that topic: one that was deleted and made again has another',
    kafka_partition Int32 COMMENT 'Partition of that message',
    kafka_offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset of that message',
    INDEX event_id_index event_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX object_id_index object_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX request_id_index request_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX kafka_offset_index kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(changed_at)
ORDER BY (changed_at, event_id)
SETTINGS index_granularity = 2048, non_replicated_deduplication_window = 10000
COMMENT 'One row per addition, change or deletion of an object in Krill v1';

-- A dead letter may be sent twice when a worker dies between sending it and committing; the sorting key makes them one.
CREATE TABLE IF NOT EXISTS dead_letters (
    kafka_topic LowCardinality(String) COMMENT 'Topic of the message that failed',
    kafka_topic_id UUID COMMENT 'Kafka''s identity of that topic: one that was deleted and made again has another',
    kafka_partition Int32 COMMENT 'Partition of the message that failed',
    kafka_offset Int64 COMMENT 'Offset of the message that failed',
    failed_at DateTime64(3, 'UTC') COMMENT 'When the worker gave it up',
    reason LowCardinality(String) COMMENT 'Kind of failure',
    error String COMMENT 'What was wrong: field, value (masked) and what was expected',
    key String COMMENT 'Key of the message',
    headers String COMMENT 'Headers of the message as a JSON list of [name, value]',
    value String COMMENT 'Bytes of the message, secrets masked as far as they are text'
)
ENGINE = ReplacingMergeTree(failed_at)
ORDER BY (kafka_topic, kafka_topic_id, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Messages that could not become a row; read with FINAL';

-- So that a check of the offsets does not miss what an operator took out.
CREATE TABLE IF NOT EXISTS dropped_letters (
    kafka_topic LowCardinality(String) COMMENT 'As in dead_letters',
    kafka_topic_id UUID COMMENT 'As in dead_letters',
    kafka_partition Int32 COMMENT 'As in dead_letters',
    kafka_offset Int64 COMMENT 'As in dead_letters',
    reason LowCardinality(String) COMMENT 'As in dead_letters',
    dropped_at DateTime('UTC') DEFAULT now() COMMENT 'When it was dropped'
)
ENGINE = ReplacingMergeTree(dropped_at)
ORDER BY (kafka_topic, kafka_topic_id, kafka_partition, kafka_offset)
COMMENT 'Dead letters that an operator dropped; their messages are in no other table';

CREATE TABLE IF NOT EXISTS pipeline_status (
    topic LowCardinality(String) COMMENT 'Kafka topic',
    partition Int32 COMMENT 'Kafka partition',
    committed_offset Int64 COMMENT 'Everything below this offset is stored',
    end_offset Int64 COMMENT 'Offset that the next message of the partition will get',
    lag Int64 COMMENT 'Messages of the partition that are not stored yet',
    state LowCardinality(String) COMMENT 'running, paused, stopped, or stopped by flood',
    worker String COMMENT 'Worker that owns the partition',
    kafka_error String COMMENT 'What the worker last heard from Kafka; empty if all is well',
    last_event_at DateTime64(3, 'UTC') COMMENT 'Time of the newest event stored from the partition',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the worker wrote this row'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (topic, partition)
COMMENT 'What the workers last said of each partition; read with FINAL';

CREATE TABLE IF NOT EXISTS floods (
    topic LowCardinality(String) COMMENT 'Kafka topic',
    state LowCardinality(String) COMMENT 'stopped by a worker; resumed or accepted by an operator',
    accepted_until DateTime('UTC') COMMENT 'Until then any share of dead letters is accepted',
    reason String COMMENT 'What the worker saw',
    at DateTime64(3, 'UTC') COMMENT 'When this was said'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY topic
COMMENT 'Topics that workers stopped because nearly all of their messages failed; read with FINAL';
