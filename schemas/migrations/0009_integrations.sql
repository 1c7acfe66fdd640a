-- What a user's page asks for lies together, and the kind of a failure is known before anybody asks.
--
-- The kind is the exception of the last traceback in `errors`, else the first line of `errors`, else that of the answer.
-- Quoted values (but not in JSON, whose own quotes say which field is meant), addresses and words with digits differ from
-- one failure to the next: they are replaced.
ALTER TABLE api_requests
    ADD COLUMN IF NOT EXISTS failure LowCardinality(String) MATERIALIZED if(status_code < 400, '', substringUTF8(
        replaceRegexpAll(
        replaceRegexpAll(
        replaceRegexpAll(
        replaceRegexpAll(
        replaceRegexpAll(
        replaceRegexpAll(
            arrayMap(
                told -> if(match(told, '^[\\[{]'), told, replaceRegexpAll(told, '"[^"\\n]*"', '“…”')),
                [multiIf(
                    errors = '',
                    splitByChar('\n', trimLeft(toValidUTF8(substring(response, 1, 2048))))[1],
                    position(substring(errors, -8192), 'Traceback (most recent call last)') > 0
                        AND match(substring(errors, -8192), '(?m)^([A-Za-z_][A-Za-z0-9_.]*[a-z][A-Za-z0-9_.]*(?::[^\\n]*)?)$'),
                    extractAll(substring(errors, -8192), '(?m)^([A-Za-z_][A-Za-z0-9_.]*[a-z][A-Za-z0-9_.]*(?::[^\\n]*)?)$')[-1],
                    splitByChar('\n', trimLeft(toValidUTF8(substring(errors, 1, 2048))))[1]
                )]
            )[1],
            '\\\\"[^"\\\\\\n]*\\\\"', '“…”'),
            '“[^”\\n]*”|«[^»\\n]*»', '“…”'),
            '(^|[^A-Za-z0-9_])\'[^\'\\n]*\'', '\\1“…”'),
            '[^\\s"\'<>(),:;]+@[^\\s"\'<>(),:;]+', '#'),
            '(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}', '#'),
            '[A-Za-z0-9_.-]*[0-9][A-Za-z0-9_.-]*', '#'),
        1, 200
    )) COMMENT 'Kind of failure: the error''s last word without what differs from one to the next; empty below status 400';

ALTER TABLE api_requests
    ADD PROJECTION IF NOT EXISTS by_user (
        SELECT user, requested_at, status_code, response_ms, remote_addr, method, route, failure
        ORDER BY user, requested_at
    );
