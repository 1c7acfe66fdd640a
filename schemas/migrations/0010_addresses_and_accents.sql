-- IP and MAC addresses, each as one word: its groups are too short, and too frequent, to be looked for one by one. The
-- caller's is among them. And words with letters outside ASCII, for whose parts ClickHouse does not ask an index: for
-- each of the most frequent letters, in either case, stands a capital one. `dashboard.searching` names the same expressions.
ALTER TABLE api_requests
    ADD INDEX IF NOT EXISTS addresses
        translate(concatWithSeparator(' ', arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '(?:[0-9]+(?:[.][0-9]+){3}|[0-9a-f]+(?:[:-][0-9a-f]+){5})[0-9a-f]*(?:[.:-][0-9a-f]+)*'), ' '), replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', '')), '.:-', 'xyz')
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking'),
    ADD INDEX IF NOT EXISTS accented_words
        translateUTF8(arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '[0-9a-z]*(?:[[:^ascii:]]+[0-9a-z]*)+'), ' '), 'àáâãäçèéêëìíîïñòóôõöùúûüýÀÁÂÃÄÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝ', 'ABCDEFGHIJKLMNOPQRSTUVWXYABCDEFGHIJKLMNOPQRSTUVWXY')
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking');
