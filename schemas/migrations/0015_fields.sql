-- Fields of payloads with their values are looked up. Each payload with the words of one was read, and a value that ten
-- thousand requests have is in nearly every granule. Rows without the index would take longer than before, so ClickHouse
-- makes it for all of them, in the background. `dashboard.fields` names the same expression.
ALTER TABLE api_requests
    ADD INDEX IF NOT EXISTS fields
        replaceRegexpAll(replaceRegexpAll(concatWithSeparator(',', query_params, data, response), '\\s+([,:}\\]])\\s*|([,:{[])\\s+', '\\1\\2'), '[^":,\\{\\}\\[\\]]*(?:[0-9]{6}|[0-9A-Fa-f]{8}|(?:[0-9]+[.]){3}|@|[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})[^",\\{\\}\\[\\]]*|[^":,\\{\\}\\[\\]]{33,}', '#')
        TYPE text(tokenizer = splitByString([',', '{', '}', '[', ']']), posting_list_codec = 'bitpacking');

ALTER TABLE api_requests
    MATERIALIZE INDEX fields;
