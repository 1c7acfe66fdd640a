-- Hours by user are sorted by the user, whose own are read alone then, and know the classes of statuses.
--
-- A month that nothing was added to for three days becomes one part: what is once per part (words, hours) is read once.
ALTER TABLE api_requests DROP PROJECTION IF EXISTS per_hour_by_user SETTINGS mutations_sync = 2;

ALTER TABLE api_requests
    ADD PROJECTION IF NOT EXISTS per_hour_by_user (
        SELECT
            user, toStartOfHour(requested_at), count(), countIf(status_code >= 400), quantilesDDState(0.01, 0.5, 0.95, 0.99)(response_ms),
            countIf(status_code BETWEEN 500 AND 599), countIf(status_code BETWEEN 400 AND 499),
            countIf(status_code BETWEEN 300 AND 399), countIf(status_code BETWEEN 200 AND 299)
        GROUP BY user, toStartOfHour(requested_at)
    ),
    MODIFY SETTING
        min_age_to_force_merge_seconds = 259200,
        min_age_to_force_merge_on_partition_only = 1,
        enable_max_bytes_limit_for_min_age_to_force_merge = 1;

ALTER TABLE admin_changes MODIFY SETTING
    min_age_to_force_merge_seconds = 259200,
    min_age_to_force_merge_on_partition_only = 1,
    enable_max_bytes_limit_for_min_age_to_force_merge = 1;
