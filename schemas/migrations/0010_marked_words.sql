-- IP and MAC addresses, the caller's among them, and words with letters outside ASCII. The groups of an address are too
-- short, and too frequent, to be looked for one by one, and ClickHouse asks no index for a part of a word that has other
-- letters than those of ASCII: capital letters stand for what is between groups and for the accented ones that are usual.
-- `dashboard.searching` names the same expression.
ALTER TABLE api_requests
    ADD INDEX IF NOT EXISTS marked_words
        translateUTF8(concatWithSeparator(' ', arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '(?:(?:[0-9]+(?:[.][0-9]+){3}|[0-9a-f]+(?:[:-][0-9a-f]+){5})|[0-9a-z]*[[:^ascii:]])(?:[0-9a-z]|[[:^ascii:]]|[.:-][0-9a-f])*'), ' '), replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', '')), '.:-àáâãäçèéêëíîïñòóôõöùúûüÀÁÂÃÄÇÈÉÊËÍÎÏÑÒÓÔÕÖÙÚÛÜ', 'XYZABCDEFGHIJKLMNOPQRSTUVWABCDEFGHIJKLMNOPQRSTUVW')
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking');
