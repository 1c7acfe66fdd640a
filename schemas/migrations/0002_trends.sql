-- A row belongs to one partition of one topic, so that only the worker that owns the partition writes it: it can compare
-- its minutes with the rows and build them anew. (The user is the message's key, so this splits hardly any group.)
CREATE TABLE IF NOT EXISTS api_requests_per_minute (
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Start of the minute',
    user LowCardinality(String) COMMENT 'As in api_requests',
    route LowCardinality(String) COMMENT 'As in api_requests',
    method LowCardinality(String) COMMENT 'As in api_requests',
    status_code UInt16 COMMENT 'As in api_requests',
    host LowCardinality(String) COMMENT 'As in api_requests',
    kafka_topic_id UUID COMMENT 'As in api_requests',
    kafka_partition Int32 COMMENT 'As in api_requests',
    count SimpleAggregateFunction(sum, UInt64) COMMENT 'Requests',
    errors SimpleAggregateFunction(sum, UInt64) COMMENT 'Requests answered with a status of 400 or more',
    response_ms AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64)
        COMMENT 'State of p50, p95 and p99 in milliseconds; finish with quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(response_ms)'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, route, user, method, status_code, host, kafka_topic_id, kafka_partition)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Rollup of api_requests for trends; group and sum when reading';

CREATE MATERIALIZED VIEW IF NOT EXISTS api_requests_per_minute_feed TO api_requests_per_minute AS
SELECT
    toStartOfMinute(requested_at) AS minute,
    user,
    route,
    method,
    status_code,
    host,
    kafka_topic_id,
    kafka_partition,
    count() AS count,
    countIf(status_code >= 400) AS errors,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms) AS response_ms
FROM api_requests
GROUP BY minute, user, route, method, status_code, host, kafka_topic_id, kafka_partition;

CREATE VIEW IF NOT EXISTS response_times (
    minute DateTime('UTC') COMMENT 'Start of the minute',
    user LowCardinality(String) COMMENT 'User name of the caller',
    route LowCardinality(String) COMMENT 'Path with every identifier replaced by {id}',
    method LowCardinality(String) COMMENT 'HTTP method',
    status_code UInt16 COMMENT 'HTTP status of the answer',
    count UInt64 COMMENT 'Requests; add them up over longer ranges',
    errors UInt64 COMMENT 'Requests answered with a status of 400 or more; add them up over longer ranges',
    p50 Float64 COMMENT 'Median response time in ms. Percentiles cannot be averaged: over longer ranges, merge the states of api_requests_per_minute with quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(response_ms)',
    p95 Float64 COMMENT '95th percentile of the response time in ms; see p50 for longer ranges',
    p99 Float64 COMMENT '99th percentile of the response time in ms; see p50 for longer ranges'
) AS
SELECT
    minute,
    user,
    route,
    method,
    status_code,
    sum(requests) AS count,
    sum(failed) AS errors,
    (quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(state) AS p)[1] AS p50,
    p[2] AS p95,
    p[3] AS p99
FROM (
    SELECT minute, user, route, method, status_code, count AS requests, errors AS failed, response_ms AS state
    FROM api_requests_per_minute
)
GROUP BY minute, user, route, method, status_code
COMMENT 'Response times per minute, user, route, method and status, as finished numbers';
