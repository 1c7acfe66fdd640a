-- `joined_words` in two: addresses that stand alone have an index of their own, in which one that is asked for with all of
-- its groups is looked up; in `joined_words` each search passed over all different addresses. `dashboard.joined` names the
-- same expressions.
ALTER TABLE api_requests
    ADD INDEX IF NOT EXISTS address_words
        arrayStringConcat(extractAll(translateUTF8(concat(' ', arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '(?:[.:-]?(?:[0-9]+(?:[.][0-9]+){2}|[0-9a-f]+(?::[0-9a-f]+){3}|[0-9a-f]*[a-f][0-9a-f]*(?::[0-9a-f]+){2}|[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*:[0-9a-f]+|[0-9a-f]+:[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]+(?:[:-][0-9a-f]+){5})|[0-9a-z]*[[:^ascii:]])(?:[0-9a-z]|[[:^ascii:]]|[.:-][0-9a-f])*[.:-]?'), '  '), '  ', replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', ''), ' '), '.:-àáâãäçèéêëíîïñòóôõöùúûüÀÁÂÃÄÇÈÉÊËÍÎÏÑÒÓÔÕÖÙÚÛÜ', 'XYZABCDEFGHIJKLMNOPQRSTUVWABCDEFGHIJKLMNOPQRSTUVW'), ' (?:[0-9]{1,3}(?:X[0-9]{1,3}){3}|[0-9a-f]{2}(?:Y[0-9a-f]{2}){5}|[0-9a-f]{2}(?:Z[0-9a-f]{2}){5}) '))
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking');

ALTER TABLE api_requests
    ADD INDEX IF NOT EXISTS mixed_words
        replaceRegexpAll(translateUTF8(concat(' ', arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '(?:[.:-]?(?:[0-9]+(?:[.][0-9]+){2}|[0-9a-f]+(?::[0-9a-f]+){3}|[0-9a-f]*[a-f][0-9a-f]*(?::[0-9a-f]+){2}|[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*:[0-9a-f]+|[0-9a-f]+:[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]+(?:[:-][0-9a-f]+){5})|[0-9a-z]*[[:^ascii:]])(?:[0-9a-z]|[[:^ascii:]]|[.:-][0-9a-f])*[.:-]?'), '  '), '  ', replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', ''), ' '), '.:-àáâãäçèéêëíîïñòóôõöùúûüÀÁÂÃÄÇÈÉÊËÍÎÏÑÒÓÔÕÖÙÚÛÜ', 'XYZABCDEFGHIJKLMNOPQRSTUVWABCDEFGHIJKLMNOPQRSTUVW'), ' (?:[0-9]{1,3}(?:X[0-9]{1,3}){3}|[0-9a-f]{2}(?:Y[0-9a-f]{2}){5}|[0-9a-f]{2}(?:Z[0-9a-f]{2}){5}) ', '')
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking');

ALTER TABLE api_requests
    DROP INDEX IF EXISTS joined_words;
