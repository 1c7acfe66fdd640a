-- The words of every text that a search looks into, in two indexes; `dashboard.searching` names the same expressions.
-- Identifiers in hexadecimal (numbers, MAC addresses, UUIDs) are most of the different words. A search that has another
-- letter cannot be in one of them, so it passes over the few words of the first index alone. Request ids are in the first
-- only if they are something else; the column itself is read for the others.
--
-- Requests by object and by path, sorted so: where in time they are, and how many.
ALTER TABLE api_requests
    DROP INDEX IF EXISTS words,
    DROP INDEX IF EXISTS object_id_index,
    ADD INDEX IF NOT EXISTS plain_words
        concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), replaceRegexpAll(lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors)), '\\b[0-9a-f]{4,}\\b', ''))
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking'),
    ADD INDEX IF NOT EXISTS hex_words
        arrayStringConcat(extractAll(lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors)), '\\b[0-9a-f]{4,}\\b'), ' ')
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking'),
    ADD PROJECTION IF NOT EXISTS by_object (
        SELECT object_id, object_type, requested_at, method ORDER BY object_id, object_type, requested_at
    ),
    ADD PROJECTION IF NOT EXISTS by_path (
        SELECT path, requested_at ORDER BY path, requested_at
    );

ALTER TABLE admin_changes
    DROP INDEX IF EXISTS object_id_index,
    ADD PROJECTION IF NOT EXISTS by_object (
        SELECT object_id, object_type, changed_at, event_id, action, object_repr ORDER BY object_id, object_type, changed_at
    );
