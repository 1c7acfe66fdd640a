-- What all migrations make; a new database is made from it. `make schemas` writes it.

CREATE TABLE admin_changes
(
    `event_id` UUID COMMENT 'Identity of the event, made by the producer (UUID version 7)' CODEC(ZSTD(1)),
    `changed_at` DateTime64(3, 'UTC') COMMENT 'When the change was made in Krill' CODEC(Delta(8), ZSTD(1)),
    `user` LowCardinality(String) COMMENT 'User name of who made the change; empty if made by no user',
    `user_id` String COMMENT 'Primary key of the user in Krill; empty if none' CODEC(ZSTD(1)),
    `action` Enum8('addition' = 1, 'change' = 2, 'deletion' = 3) COMMENT 'What was done to the object',
    `app_label` LowCardinality(String) COMMENT 'Django application of the object, such as isp',
    `model` LowCardinality(String) COMMENT 'Django model of the object, such as cpe',
    `object_type` LowCardinality(String) COMMENT 'Kind of object: customer, cpe, pots, user, or the model',
    `object_id` String COMMENT 'Primary key of the object' CODEC(ZSTD(1)),
    `object_repr` String COMMENT 'The object as Krill prints it' CODEC(ZSTD(1)),
    `change_message` String COMMENT 'The Django admin\'s own message: JSON, or older free text' CODEC(ZSTD(1)),
    `changed_fields` Array(LowCardinality(String)) COMMENT 'Names of the fields that changed',
    `changes` String COMMENT 'JSON list of {field, old, new}; empty if the values are not known' CODEC(ZSTD(1)),
    `remote_addr` IPv6 COMMENT 'Address of who made the change, IPv4 as ::ffff:a.b.c.d; :: if unknown' CODEC(ZSTD(1)),
    `request_id` String COMMENT 'Identity of the HTTP request that caused the change; empty if none did' CODEC(ZSTD(1)),
    `masked` Array(LowCardinality(String)) COMMENT 'Names of the fields whose values were masked',
    `ingested_at` DateTime64(3, 'UTC') COMMENT 'When the worker stored the row' CODEC(Delta(8), ZSTD(1)),
    `kafka_topic` LowCardinality(String) COMMENT 'Topic of the message this row was made from',
    `kafka_topic_id` UUID COMMENT 'Kafka\'s identity of that topic: one that was deleted and made again has another',
    `kafka_partition` Int32 COMMENT 'Partition of that message',
    `kafka_offset` Int64 COMMENT 'Offset of that message' CODEC(Delta(8), ZSTD(1)),
    INDEX event_id_index event_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX request_id_index request_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX kafka_offset_index kafka_offset TYPE minmax GRANULARITY 1,
    PROJECTION by_object
    (
        SELECT
            object_id,
            object_type,
            changed_at,
            event_id,
            action,
            object_repr
        ORDER BY
            object_id,
            object_type,
            changed_at
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(changed_at)
ORDER BY (changed_at, event_id)
SETTINGS index_granularity = 2048, non_replicated_deduplication_window = 10000, min_rows_for_full_part_storage = 200000, min_compress_block_size = 8192, min_age_to_force_merge_seconds = 259200, min_age_to_force_merge_on_partition_only = 1, enable_max_bytes_limit_for_min_age_to_force_merge = 1
COMMENT 'One row per addition, change or deletion of an object in Krill v1';

CREATE TABLE api_requests
(
    `event_id` UUID COMMENT 'Identity of the event, made by the producer (UUID version 7)' CODEC(ZSTD(1)),
    `requested_at` DateTime64(3, 'UTC') COMMENT 'When the request arrived at Krill' CODEC(Delta(8), ZSTD(1)),
    `user` LowCardinality(String) COMMENT 'User name of the caller; Anonymous if none',
    `user_id` String COMMENT 'Primary key of the user in Krill; empty if none' CODEC(ZSTD(1)),
    `remote_addr` IPv6 COMMENT 'Address of the caller, IPv4 as ::ffff:a.b.c.d; :: if unknown' CODEC(ZSTD(1)),
    `method` LowCardinality(String) COMMENT 'HTTP method in upper case',
    `path` String COMMENT 'Path as requested, without the query string' CODEC(ZSTD(1)),
    `route` LowCardinality(String) COMMENT 'Path with every identifier replaced by {id}',
    `api_version` LowCardinality(String) COMMENT 'v1, v2, …; empty outside the API',
    `app` LowCardinality(String) COMMENT 'Krill application, such as isp or monitoring; empty if the path names none',
    `object_type` LowCardinality(String) COMMENT 'Kind of object: cpe, customer, pots, user, or the singular of the path\'s noun',
    `object_id` String COMMENT 'Identifier of the object in the path; empty for a collection' CODEC(ZSTD(1)),
    `action` LowCardinality(String) COMMENT 'list, retrieve, create, update, partial_update, destroy or the name of an extra action',
    `host` LowCardinality(String) COMMENT 'Host header of the request',
    `view` LowCardinality(String) COMMENT 'Dotted name of the view class that answered; empty if no view did',
    `view_method` LowCardinality(String) COMMENT 'Method of the view that answered',
    `status_code` UInt16 COMMENT 'HTTP status of the answer',
    `response_ms` Float64 COMMENT 'Response time in milliseconds' CODEC(ZSTD(1)),
    `query_params` String COMMENT 'Query string as a JSON object; empty if none' CODEC(ZSTD(1)),
    `data` String COMMENT 'Body of the request as JSON; empty if none' CODEC(ZSTD(1)),
    `response` String COMMENT 'Body of the answer as JSON; empty if none' CODEC(ZSTD(1)),
    `errors` String COMMENT 'Error text or traceback; empty if none' CODEC(ZSTD(1)),
    `user_agent` LowCardinality(String) COMMENT 'User-Agent header of the request',
    `request_id` String COMMENT 'Identity of the HTTP request; an admin change that it caused carries the same' CODEC(ZSTD(1)),
    `masked` Array(LowCardinality(String)) COMMENT 'Names of the fields whose values were masked',
    `truncated` Array(LowCardinality(String)) COMMENT 'Names of the columns whose values were cut because of their size',
    `ingested_at` DateTime64(3, 'UTC') COMMENT 'When the worker stored the row' CODEC(Delta(8), ZSTD(1)),
    `kafka_topic` LowCardinality(String) COMMENT 'Topic of the message this row was made from',
    `kafka_topic_id` UUID COMMENT 'Kafka\'s identity of that topic: one that was deleted and made again has another',
    `kafka_partition` Int32 COMMENT 'Partition of that message',
    `kafka_offset` Int64 COMMENT 'Offset of that message' CODEC(Delta(8), ZSTD(1)),
    `failure` LowCardinality(String) MATERIALIZED if(status_code < 400, '', substringUTF8(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(arrayMap(told -> if(match(told, '^[\\[{]'), told, replaceRegexpAll(told, '"[^"\\n]*"', '“…”')), [multiIf(errors = '', splitByChar('\n', trimLeft(toValidUTF8(substring(response, 1, 2048))))[1], (position(substring(errors, -8192), 'Traceback (most recent call last)') > 0) AND match(substring(errors, -8192), '(?m)^([A-Za-z_][A-Za-z0-9_.]*[a-z][A-Za-z0-9_.]*(?::[^\\n]*)?)$'), extractAll(substring(errors, -8192), '(?m)^([A-Za-z_][A-Za-z0-9_.]*[a-z][A-Za-z0-9_.]*(?::[^\\n]*)?)$')[-1], splitByChar('\n', trimLeft(toValidUTF8(substring(errors, 1, 2048))))[1])])[1], '\\\\"[^"\\\\\\n]*\\\\"', '“…”'), '“[^”\\n]*”|«[^»\\n]*»', '“…”'), '(^|[^A-Za-z0-9_])\'[^\'\\n]*\'', '\\1“…”'), '[^\\s"\'<>(),:;]+@[^\\s"\'<>(),:;]+', '#'), '(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}', '#'), '[A-Za-z0-9_.-]*[0-9][A-Za-z0-9_.-]*', '#'), 1, 200)) COMMENT 'Kind of failure: the error\'s last word without what differs from one to the next; empty below status 400',
    INDEX event_id_index event_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX request_id_index request_id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX kafka_offset_index kafka_offset TYPE minmax GRANULARITY 1,
    INDEX plain_words concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), replaceRegexpAll(lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors)), '\\b[0-9a-f]{4,}\\b', '')) TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking') GRANULARITY 100000000,
    INDEX hex_words arrayStringConcat(extractAll(lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors)), '\\b[0-9a-f]{4,}\\b'), ' ') TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking') GRANULARITY 100000000,
    INDEX response_ms_index response_ms TYPE minmax GRANULARITY 1,
    INDEX address_words arrayStringConcat(extractAll(translateUTF8(concat(' ', arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '(?:[.:-]?(?:[0-9]+(?:[.][0-9]+){2}|[0-9a-f]+(?::[0-9a-f]+){3}|[0-9a-f]*[a-f][0-9a-f]*(?::[0-9a-f]+){2}|[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*:[0-9a-f]+|[0-9a-f]+:[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]+(?:[:-][0-9a-f]+){5})|[0-9a-z]*[[:^ascii:]])(?:[0-9a-z]|[[:^ascii:]]|[.:-][0-9a-f])*[.:-]?'), '  '), '  ', replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', ''), ' '), '.:-àáâãäçèéêëíîïñòóôõöùúûüÀÁÂÃÄÇÈÉÊËÍÎÏÑÒÓÔÕÖÙÚÛÜ', 'XYZABCDEFGHIJKLMNOPQRSTUVWABCDEFGHIJKLMNOPQRSTUVW'), ' (?:[0-9]{1,3}(?:X[0-9]{1,3}){3}|[0-9a-f]{2}(?:Y[0-9a-f]{2}){5}|[0-9a-f]{2}(?:Z[0-9a-f]{2}){5}) ')) TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking') GRANULARITY 100000000,
    INDEX mixed_words replaceRegexpAll(translateUTF8(concat(' ', arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '(?:[.:-]?(?:[0-9]+(?:[.][0-9]+){2}|[0-9a-f]+(?::[0-9a-f]+){3}|[0-9a-f]*[a-f][0-9a-f]*(?::[0-9a-f]+){2}|[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*:[0-9a-f]+|[0-9a-f]+:[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]+(?:[:-][0-9a-f]+){5})|[0-9a-z]*[[:^ascii:]])(?:[0-9a-z]|[[:^ascii:]]|[.:-][0-9a-f])*[.:-]?'), '  '), '  ', replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', ''), ' '), '.:-àáâãäçèéêëíîïñòóôõöùúûüÀÁÂÃÄÇÈÉÊËÍÎÏÑÒÓÔÕÖÙÚÛÜ', 'XYZABCDEFGHIJKLMNOPQRSTUVWABCDEFGHIJKLMNOPQRSTUVW'), ' (?:[0-9]{1,3}(?:X[0-9]{1,3}){3}|[0-9a-f]{2}(?:Y[0-9a-f]{2}){5}|[0-9a-f]{2}(?:Z[0-9a-f]{2}){5}) ', '') TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking') GRANULARITY 100000000,
    INDEX fields replaceRegexpAll(replaceRegexpAll(concatWithSeparator(',', query_params, data, response), '\\s+([,:}\\]])\\s*|([,:{[])\\s+', '\\1\\2'), '[^":,\\{\\}\\[\\]]*(?:[0-9]{6}|[0-9A-Fa-f]{8}|(?:[0-9]+[.]){3}|@|[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})[^",\\{\\}\\[\\]]*|[^":,\\{\\}\\[\\]]{33,}', '#') TYPE text(tokenizer = splitByString([',', '{', '}', '[', ']']), posting_list_codec = 'bitpacking') GRANULARITY 100000000,
    PROJECTION by_object
    (
        SELECT
            object_id,
            object_type,
            requested_at,
            method
        ORDER BY
            object_id,
            object_type,
            requested_at
    ),
    PROJECTION by_path
    (
        SELECT
            path,
            requested_at
        ORDER BY
            path,
            requested_at
    ),
    PROJECTION per_hour
    (
        SELECT
            toStartOfHour(requested_at),
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299)),
            max(requested_at),
            quantilesTimingState(0.49999999, 0.94999999, 0.98999999)(toUInt16(least(greatest(floor(log(greatest(response_ms, 0.005)) / 0.020000666706669435) + 232, 0), 29999)))
        GROUP BY toStartOfHour(requested_at)
    ),
    PROJECTION per_hour_by_user
    (
        SELECT
            user,
            toStartOfHour(requested_at),
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299)),
            max(requested_at),
            quantilesTimingState(0.49999999, 0.94999999, 0.98999999)(toUInt16(least(greatest(floor(log(greatest(response_ms, 0.005)) / 0.020000666706669435) + 232, 0), 29999)))
        GROUP BY
            user,
            toStartOfHour(requested_at)
    ),
    PROJECTION per_hour_by_endpoint
    (
        SELECT
            route,
            method,
            toStartOfHour(requested_at),
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299)),
            max(requested_at),
            quantilesTimingState(0.49999999, 0.94999999, 0.98999999)(toUInt16(least(greatest(floor(log(greatest(response_ms, 0.005)) / 0.020000666706669435) + 232, 0), 29999)))
        GROUP BY
            route,
            method,
            toStartOfHour(requested_at)
    ),
    PROJECTION per_hour_by_status
    (
        SELECT
            toStartOfHour(requested_at),
            status_code,
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299)),
            max(requested_at),
            quantilesTimingState(0.49999999, 0.94999999, 0.98999999)(toUInt16(least(greatest(floor(log(greatest(response_ms, 0.005)) / 0.020000666706669435) + 232, 0), 29999)))
        GROUP BY
            toStartOfHour(requested_at),
            status_code
    ),
    PROJECTION per_hour_by_host
    (
        SELECT
            toStartOfHour(requested_at),
            host,
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299)),
            max(requested_at),
            quantilesTimingState(0.49999999, 0.94999999, 0.98999999)(toUInt16(least(greatest(floor(log(greatest(response_ms, 0.005)) / 0.020000666706669435) + 232, 0), 29999)))
        GROUP BY
            toStartOfHour(requested_at),
            host
    ),
    PROJECTION per_hour_by_view
    (
        SELECT
            toStartOfHour(requested_at),
            view,
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299))
        GROUP BY
            toStartOfHour(requested_at),
            view
    ),
    PROJECTION per_hour_by_object_type
    (
        SELECT
            toStartOfHour(requested_at),
            object_type,
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299))
        GROUP BY
            toStartOfHour(requested_at),
            object_type
    ),
    PROJECTION per_hour_by_action
    (
        SELECT
            toStartOfHour(requested_at),
            action,
            count(),
            countIf(status_code >= 400),
            countIf((status_code >= 500) AND (status_code <= 599)),
            countIf((status_code >= 400) AND (status_code <= 499)),
            countIf((status_code >= 300) AND (status_code <= 399)),
            countIf((status_code >= 200) AND (status_code <= 299))
        GROUP BY
            toStartOfHour(requested_at),
            action
    ),
    PROJECTION by_user
    (
        SELECT
            user,
            requested_at,
            status_code,
            response_ms,
            remote_addr,
            method,
            route,
            failure
        ORDER BY
            user,
            requested_at
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(requested_at)
ORDER BY (requested_at, event_id)
SETTINGS index_granularity = 2048, non_replicated_deduplication_window = 10000, min_rows_for_full_part_storage = 200000, materialize_projections_on_insert = 0, materialize_projections_on_merge = 1, min_compress_block_size = 8192, min_age_to_force_merge_seconds = 259200, min_age_to_force_merge_on_partition_only = 1, enable_max_bytes_limit_for_min_age_to_force_merge = 1
COMMENT 'One row per request to Krill\'s API';

CREATE TABLE dead_letters
(
    `kafka_topic` LowCardinality(String) COMMENT 'Topic of the message that failed',
    `kafka_topic_id` UUID COMMENT 'Kafka\'s identity of that topic: one that was deleted and made again has another',
    `kafka_partition` Int32 COMMENT 'Partition of the message that failed',
    `kafka_offset` Int64 COMMENT 'Offset of the message that failed',
    `failed_at` DateTime64(3, 'UTC') COMMENT 'When the worker gave it up',
    `reason` LowCardinality(String) COMMENT 'Kind of failure',
    `error` String COMMENT 'What was wrong: field, value (masked) and what was expected',
    `key` String COMMENT 'Key of the message',
    `headers` String COMMENT 'Headers of the message as a JSON list of [name, value]',
    `value` String COMMENT 'Bytes of the message, secrets masked as far as they are text'
)
ENGINE = ReplacingMergeTree(failed_at)
ORDER BY (kafka_topic, kafka_topic_id, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 8192, min_rows_for_full_part_storage = 200000
COMMENT 'Messages that could not become a row; read with FINAL';

CREATE TABLE dropped_letters
(
    `kafka_topic` LowCardinality(String) COMMENT 'As in dead_letters',
    `kafka_topic_id` UUID COMMENT 'As in dead_letters',
    `kafka_partition` Int32 COMMENT 'As in dead_letters',
    `kafka_offset` Int64 COMMENT 'As in dead_letters',
    `reason` LowCardinality(String) COMMENT 'As in dead_letters',
    `dropped_at` DateTime('UTC') DEFAULT now() COMMENT 'When it was dropped'
)
ENGINE = ReplacingMergeTree(dropped_at)
ORDER BY (kafka_topic, kafka_topic_id, kafka_partition, kafka_offset)
SETTINGS index_granularity = 8192
COMMENT 'Dead letters that an operator dropped; their messages are in no other table';

CREATE TABLE floods
(
    `topic` LowCardinality(String) COMMENT 'Kafka topic',
    `state` LowCardinality(String) COMMENT 'stopped by a worker; resumed or accepted by an operator',
    `accepted_until` DateTime('UTC') COMMENT 'Until then any share of dead letters is accepted',
    `reason` String COMMENT 'What the worker saw',
    `at` DateTime64(3, 'UTC') COMMENT 'When this was said'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY topic
SETTINGS index_granularity = 8192
COMMENT 'Topics that workers stopped because nearly all of their messages failed; read with FINAL';

CREATE TABLE pipeline_status
(
    `topic` LowCardinality(String) COMMENT 'Kafka topic',
    `partition` Int32 COMMENT 'Kafka partition',
    `committed_offset` Int64 COMMENT 'Everything below this offset is stored',
    `end_offset` Int64 COMMENT 'Offset that the next message of the partition will get',
    `lag` Int64 COMMENT 'Messages of the partition that are not stored yet',
    `state` LowCardinality(String) COMMENT 'running, paused, stopped, or stopped by flood',
    `worker` String COMMENT 'Worker that owns the partition',
    `kafka_error` String COMMENT 'What the worker last heard from Kafka; empty if all is well',
    `last_event_at` DateTime64(3, 'UTC') COMMENT 'Time of the newest event stored from the partition',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'When the worker wrote this row'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (topic, partition)
SETTINGS index_granularity = 8192, min_rows_for_full_part_storage = 200000
COMMENT 'What the workers last said of each partition; read with FINAL';

CREATE TABLE schema_migrations
(
    `name` String,
    `applied_at` DateTime DEFAULT now()
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY name
SETTINGS index_granularity = 8192
COMMENT 'Migrations that were applied';

CREATE VIEW api_requests_per_minute
(
    `minute` DateTime('UTC') COMMENT 'Start of the minute',
    `user` LowCardinality(String) COMMENT 'User name of the caller',
    `route` LowCardinality(String) COMMENT 'Path with every identifier replaced by {id}',
    `method` LowCardinality(String) COMMENT 'HTTP method',
    `status_code` UInt16 COMMENT 'HTTP status of the answer',
    `host` LowCardinality(String) COMMENT 'Host header of the request',
    `count` UInt64 COMMENT 'Requests; add them up over longer ranges',
    `errors` UInt64 COMMENT 'Requests answered with a status of 400 or more; add them up over longer ranges',
    `response_ms` AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64) COMMENT 'State of p50, p95 and p99 in milliseconds; finish with quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(response_ms)'
)
COMMENT 'Minutes of api_requests with states that can be merged'
AS SELECT
    toStartOfMinute(requested_at) AS minute,
    user,
    route,
    method,
    status_code,
    host,
    count() AS count,
    countIf(status_code >= 400) AS errors,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms) AS response_ms
FROM api_requests
GROUP BY
    minute,
    user,
    route,
    method,
    status_code,
    host;

CREATE VIEW response_times
(
    `minute` DateTime('UTC') COMMENT 'Start of the minute',
    `user` LowCardinality(String) COMMENT 'User name of the caller',
    `route` LowCardinality(String) COMMENT 'Path with every identifier replaced by {id}',
    `method` LowCardinality(String) COMMENT 'HTTP method',
    `status_code` UInt16 COMMENT 'HTTP status of the answer',
    `count` UInt64 COMMENT 'Requests; add them up over longer ranges',
    `errors` UInt64 COMMENT 'Requests answered with a status of 400 or more; add them up over longer ranges',
    `p50` Float64 COMMENT 'Median response time in ms. Percentiles cannot be averaged: over longer ranges, ask api_requests for quantilesDD(0.01, 0.5, 0.95, 0.99)(response_ms)',
    `p95` Float64 COMMENT '95th percentile of the response time in ms; see p50 for longer ranges',
    `p99` Float64 COMMENT '99th percentile of the response time in ms; see p50 for longer ranges'
)
COMMENT 'Response times per minute, user, route, method and status, as finished numbers'
AS SELECT
    toStartOfMinute(requested_at) AS minute,
    user,
    route,
    method,
    status_code,
    count() AS count,
    countIf(status_code >= 400) AS errors,
    (quantilesDD(0.01, 0.5, 0.95, 0.99)(response_ms) AS percentiles)[1] AS p50,
    percentiles[2] AS p95,
    percentiles[3] AS p99
FROM api_requests
GROUP BY
    minute,
    user,
    route,
    method,
    status_code;
