-- The shortest and the longest response time of each granule: the slowest requests, and those over a limit, are in few of
-- them.
ALTER TABLE api_requests ADD INDEX IF NOT EXISTS response_ms_index response_ms TYPE minmax GRANULARITY 1;
