-- `marked_words` with parts of addresses, too: three numbers with dots, four groups of digits with `:` or three of which
-- one has a letter, and what separates them from the next at either end. Without an index, each payload was read for
-- `10.1.17.` or `a4:ba:76`. It has another name because two processes may run this at once. `dashboard.searching` names
-- the same expression.
ALTER TABLE api_requests
    ADD INDEX IF NOT EXISTS joined_words
        translateUTF8(concatWithSeparator(' ', arrayStringConcat(extractAll(concatWithSeparator(' ', lower(concatWithSeparator(' ', user, method, route, api_version, app, object_type, action, host, view, view_method, user_agent, arrayStringConcat(masked, ' '), arrayStringConcat(truncated, ' '), if(match(request_id, '^[0-9a-f-]*$'), '', request_id))), lower(concatWithSeparator(' ', user_id, path, object_id, query_params, data, response, errors))), '(?:[.:-]?(?:[0-9]+(?:[.][0-9]+){2}|[0-9a-f]+(?::[0-9a-f]+){3}|[0-9a-f]*[a-f][0-9a-f]*(?::[0-9a-f]+){2}|[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*:[0-9a-f]+|[0-9a-f]+:[0-9a-f]+:[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]+(?:[:-][0-9a-f]+){5})|[0-9a-z]*[[:^ascii:]])(?:[0-9a-z]|[[:^ascii:]]|[.:-][0-9a-f])*[.:-]?'), ' '), replaceOne(if(toString(remote_addr) = '::', '', toString(remote_addr)), '::ffff:', '')), '.:-àáâãäçèéêëíîïñòóôõöùúûüÀÁÂÃÄÇÈÉÊËÍÎÏÑÒÓÔÕÖÙÚÛÜ', 'XYZABCDEFGHIJKLMNOPQRSTUVWABCDEFGHIJKLMNOPQRSTUVW')
        TYPE text(tokenizer = splitByNonAlpha, posting_list_codec = 'bitpacking');

ALTER TABLE api_requests
    DROP INDEX IF EXISTS marked_words;
