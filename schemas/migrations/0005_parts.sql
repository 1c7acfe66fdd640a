-- A part with indexes and projections is a hundred files, and making files is most of what a small insert costs. So
-- a small part is one file and one for each projection; and projections are made at the first merge, until when the few
-- new rows are read themselves.
ALTER TABLE api_requests MODIFY SETTING
    min_rows_for_full_part_storage = 200000,
    materialize_projections_on_insert = 0,
    materialize_projections_on_merge = 1;

ALTER TABLE admin_changes MODIFY SETTING min_rows_for_full_part_storage = 200000;

ALTER TABLE dead_letters MODIFY SETTING min_rows_for_full_part_storage = 200000;

ALTER TABLE pipeline_status MODIFY SETTING min_rows_for_full_part_storage = 200000;
