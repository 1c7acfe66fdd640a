-- Texts are compressed harder. Parts that are there keep their bytes until they are merged.
ALTER TABLE api_requests
    MODIFY COLUMN event_id CODEC(ZSTD(1)),
    MODIFY COLUMN user_id CODEC(ZSTD(1)),
    MODIFY COLUMN remote_addr CODEC(ZSTD(1)),
    MODIFY COLUMN path CODEC(ZSTD(1)),
    MODIFY COLUMN object_id CODEC(ZSTD(1)),
    MODIFY COLUMN response_ms CODEC(ZSTD(1)),
    MODIFY COLUMN query_params CODEC(ZSTD(1)),
    MODIFY COLUMN data CODEC(ZSTD(1)),
    MODIFY COLUMN response CODEC(ZSTD(1)),
    MODIFY COLUMN errors CODEC(ZSTD(1)),
    MODIFY COLUMN request_id CODEC(ZSTD(1));

ALTER TABLE admin_changes
    MODIFY COLUMN event_id CODEC(ZSTD(1)),
    MODIFY COLUMN user_id CODEC(ZSTD(1)),
    MODIFY COLUMN object_id CODEC(ZSTD(1)),
    MODIFY COLUMN object_repr CODEC(ZSTD(1)),
    MODIFY COLUMN change_message CODEC(ZSTD(1)),
    MODIFY COLUMN changes CODEC(ZSTD(1)),
    MODIFY COLUMN remote_addr CODEC(ZSTD(1)),
    MODIFY COLUMN request_id CODEC(ZSTD(1));

-- The words of every text that a search looks into; `dashboard.searching` names the same expression.
--
-- Counts, errors and percentiles per hour, in all and by one column: counts, histograms, facets and trends over long
-- ranges read these. (Of users there are so many that merging their states takes longer than reading the rows.) They
-- belong to the rows' own parts, so they are right whatever happens to rows. One statement, since each writes all of the
-- table's metadata anew.
ALTER TABLE api_requests
    ADD INDEX IF NOT EXISTS words
        lower(concatWithSeparator(' ', user, user_id, method, path, route, api_version, app, object_type, object_id, action, host, view, view_method, query_params, data, response, errors, user_agent, request_id, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' ')))
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking'),
    ADD INDEX IF NOT EXISTS object_id_index object_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD PROJECTION IF NOT EXISTS per_hour (
        SELECT toStartOfHour(requested_at), count(), countIf(status_code >= 400), quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms)
        GROUP BY toStartOfHour(requested_at)
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_user (
        SELECT toStartOfHour(requested_at), user, count()
        GROUP BY toStartOfHour(requested_at), user
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_route (
        SELECT toStartOfHour(requested_at), route, count(), countIf(status_code >= 400), quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms)
        GROUP BY toStartOfHour(requested_at), route
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_status (
        SELECT toStartOfHour(requested_at), status_code, count(), countIf(status_code >= 400), quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms)
        GROUP BY toStartOfHour(requested_at), status_code
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_method (
        SELECT toStartOfHour(requested_at), method, count(), countIf(status_code >= 400), quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms)
        GROUP BY toStartOfHour(requested_at), method
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_host (
        SELECT toStartOfHour(requested_at), host, count(), countIf(status_code >= 400), quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms)
        GROUP BY toStartOfHour(requested_at), host
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_view (
        SELECT toStartOfHour(requested_at), view, count()
        GROUP BY toStartOfHour(requested_at), view
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_object_type (
        SELECT toStartOfHour(requested_at), object_type, count()
        GROUP BY toStartOfHour(requested_at), object_type
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_action (
        SELECT toStartOfHour(requested_at), action, count()
        GROUP BY toStartOfHour(requested_at), action
    );
