-- Errors by each column that there are hours of, and percentiles by user: where an hour has many requests of a user, its
-- state is merged sooner than they are read.
--
-- A column's values of a granule are compressed by themselves, so that no others need be read with them.
ALTER TABLE api_requests
    DROP PROJECTION IF EXISTS per_hour_by_user,
    DROP PROJECTION IF EXISTS per_hour_by_view,
    DROP PROJECTION IF EXISTS per_hour_by_object_type,
    DROP PROJECTION IF EXISTS per_hour_by_action
    SETTINGS mutations_sync = 2;

ALTER TABLE api_requests
    ADD PROJECTION IF NOT EXISTS per_hour_by_user (
        SELECT toStartOfHour(requested_at), user, count(), countIf(status_code >= 400), quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms)
        GROUP BY toStartOfHour(requested_at), user
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_view (
        SELECT toStartOfHour(requested_at), view, count(), countIf(status_code >= 400)
        GROUP BY toStartOfHour(requested_at), view
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_object_type (
        SELECT toStartOfHour(requested_at), object_type, count(), countIf(status_code >= 400)
        GROUP BY toStartOfHour(requested_at), object_type
    ),
    ADD PROJECTION IF NOT EXISTS per_hour_by_action (
        SELECT toStartOfHour(requested_at), action, count(), countIf(status_code >= 400)
        GROUP BY toStartOfHour(requested_at), action
    ),
    MODIFY SETTING min_compress_block_size = 8192;

ALTER TABLE admin_changes MODIFY SETTING min_compress_block_size = 8192;
