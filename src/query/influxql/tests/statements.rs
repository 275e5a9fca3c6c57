//! Statement by statement, what the server's own parser makes of each text: its normal form, or what is wrong.

use super::check;

#[test]
fn selects_print_in_the_normal_form() {
    check("select * from m", Ok("SELECT * FROM m"));
    check(
        r#"SELECT f::integer, *::tag, /x\/y/ AS r FROM "db"."rp".m, db..n, /^a/, rp./b/ WHERE host='x' and not"#,
        Ok(r#"SELECT f::integer, *::tag, /x\/y/ AS r FROM db.rp.m, db..n, /^a/, rp./b/ WHERE host = 'x' AND not"#),
    );
    check(
        r#"SELECT f::INTEGER, *::tag, DISTINCT g, /x\/y/ AS "on" FROM "db"."rp".m, db..n, /^a/, rp./b/"#,
        Ok(r#"SELECT f::integer, *::tag, DISTINCT g, /x\/y/ AS "on" FROM db.rp.m, db..n, /^a/, rp./b/"#),
    );
    check(
        r#"SELECT MEAN(f) + 1.50 * -2, count(DISTINCT g), now() - 90m FROM (SELECT max(v) FROM m GROUP BY *) WHERE (a = 'it\'s' OR b <> 2) AND c =~ /x/ AND time > now() - 1h GROUP BY time(10m, -5s), host, /^t/ FILL(0.00001) ORDER BY time DESC LIMIT 5 OFFSET 2 SLIMIT 3 SOFFSET 1 TZ('Europe/Berlin')"#,
        Ok(
            r#"SELECT mean(f) + 1.500 * -2, count(DISTINCT g), now() - 90m FROM (SELECT max(v) FROM m GROUP BY *) WHERE (a = 'it\'s' OR b != 2) AND c =~ /x/ AND time > now() - 1h GROUP BY time(10m, -5s), host, /^t/ fill(1e-05) ORDER BY time DESC LIMIT 5 OFFSET 2 SLIMIT 3 SOFFSET 1 TZ('Europe/Berlin')"#,
        ),
    );
    check(
        "SELECT a+b*c|d^e/f%g&h FROM m WHERE a+1 < b AND c OR d AND e",
        Ok("SELECT a + b * c | d ^ e / f % g & h FROM m WHERE a + 1 < b AND c OR d AND e"),
    );
    check(
        "SELECT -a, +b, -(a), -f(x), -1, +1.5, -2m, -9223372036854775808, 18446744073709551615 FROM m",
        Ok(
            "SELECT -1 * a, 1 * b, -1 * (a), -1 * f(x), -1, 1.500, -2m, -9223372036854775808, 18446744073709551615 FROM m",
        ),
    );
    check(
        "SELECT v INTO rp.:MEASUREMENT FROM /.*/ fill(previous)",
        Ok("SELECT v INTO rp.:MEASUREMENT FROM /.*/ fill(previous)"),
    );
    check(r#"SELECT v INTO "t 1" FROM m fill(linear)"#, Ok(r#"SELECT v INTO "t 1" FROM m fill(linear)"#));
    check("EXPLAIN ANALYZE SELECT v FROM m", Ok("EXPLAIN ANALYZE SELECT v FROM m"));
}

#[test]
fn selects_say_where_they_go_wrong() {
    check(r#"SELECT "a"."b", mean(f)::float FROM m"#, Err("found ::, expected FROM at line 1, char 24"));
    check("SELECT a b FROM m", Err("found b, expected FROM at line 1, char 10"));
    check("SELECT a FROM m LIMIT x", Err("found x, expected integer at line 1, char 23"));
    check("SELECT a FROM m OFFSET 1 LIMIT 1", Err("found LIMIT, expected ; at line 1, char 26"));
    check("SELECT a, FROM m", Err("found FROM, expected identifier, string, number, bool at line 1, char 11"));
    check("SELECT FROM m", Err("found FROM, expected identifier, string, number, bool at line 1, char 8"));
    check("SELECT a FROM", Err("found EOF, expected identifier at line 1, char 15"));
    check(
        "SELECT a = 1 FROM m",
        Err("invalid operator = in SELECT clause at line 1, char 8; operator is intended for WHERE clause"),
    );
    check(
        "SELECT (a > 1) + (b OR c) FROM m",
        Err("invalid operator OR in SELECT clause at line 1, char 8; operator is intended for WHERE clause"),
    );
    check("SELECT f( FROM m", Err("found FROM, expected identifier, string, number, bool at line 1, char 11"));
    check("SELECT f(a FROM m", Err("found FROM, expected ) at line 1, char 12"));
    check(
        "SELECT a::text FROM m",
        Err("found text, expected float, integer, unsigned, string, boolean, field, tag at line 1, char 11"),
    );
    check("SELECT *::float FROM m", Err("found float, expected field, tag at line 1, char 11"));
    check("SELECT DISTINCT FROM m", Err("found FROM, expected identifier at line 1, char 17"));
    check("SELECT 1e3 FROM m", Err("invalid duration"));
    check("SELECT 18446744073709551616 FROM m", Err("unable to parse integer at line 1, char 8"));
    check("SELECT -18446744073709551615 FROM m", Err("constant -18446744073709551615 underflows int64"));
    check("SELECT - 'x' FROM m", Err("found x, expected identifier, number, duration, ( at line 1, char 9"));
    check("SELECT a FROM m WHERE b =~ 'x'", Err("found x, expected regex at line 1, char 27"));
    check("SELECT a FROM m WHERE b =~ /(/", Err("error parsing regexp: missing closing ): `(` at line 1, char 27"));
    check("SELECT a FROM m WHERE b =~ /x", Err("bad regex:  at line 1, char 27"));
    check("SELECT a FROM a.b.c.d", Err(r#"too many segments in "a"."b"."c".d at line 1, char 1"#));
    check("SELECT a FROM m GROUP host", Err("found host, expected BY at line 1, char 23"));
    check("SELECT a FROM m fill()", Err("fill requires an argument, e.g.: 0, null, none, previous, linear"));
    check("SELECT a FROM m fill(x)", Err("expected number argument in fill()"));
    check("SELECT a FROM m fill", Err("fill must be a function call"));
    check("SELECT a FROM m ORDER BY v", Err("only ORDER BY time supported at this time"));
    check("SELECT a FROM m ORDER BY 1", Err("found 1, expected identifier, ASC, DESC at line 1, char 26"));
    check("SELECT a FROM m ORDER BY time, time", Err("only ORDER BY time supported at this time"));
    check("SELECT a FROM m tz(1)", Err("expected string argument in tz()"));
    check("SELECT a FROM m tz('x', 'y')", Err("tz requires exactly one argument"));
    check("SELECT a FROM m tz('Nowhere/At_All')", Err("unable to find time zone Nowhere/At_All"));
    check("SELECT $x FROM m", Err("missing parameter: x"));
    check("SELECT $ FROM m", Err("empty bound parameter"));
}

#[test]
fn what_is_stored_is_shown() {
    check(
        r#"SHOW MEASUREMENTS ON "a b" WITH MEASUREMENT =~ /x/ WHERE t = 'x' ORDER BY ASC LIMIT 1 OFFSET 2"#,
        Ok("SHOW MEASUREMENTS ON a b WITH MEASUREMENT =~ /x/ WHERE t = 'x' ORDER BY ASC LIMIT 1 OFFSET 2"),
    );
    check("SHOW MEASUREMENTS WITH MEASUREMENT = m", Ok("SHOW MEASUREMENTS WITH MEASUREMENT = m"));
    check("SHOW MEASUREMENTS WITH MEASUREMENT > m", Err("found >, expected =, =~ at line 1, char 36"));
    check(
        "SHOW SERIES ON d FROM m, /n/ WHERE t = 'x' LIMIT 1",
        Ok("SHOW SERIES ON d FROM m, /n/ WHERE t = 'x' LIMIT 1"),
    );
    check(
        "SHOW SERIES EXACT CARDINALITY ON d FROM m WHERE t = 'x' GROUP BY t LIMIT 1",
        Ok("SHOW SERIES EXACT CARDINALITY ON d FROM m WHERE t = 'x' GROUP BY t LIMIT 1"),
    );
    check(
        "SHOW TAG KEYS ON d FROM m LIMIT 1 OFFSET 2 SLIMIT 3 SOFFSET 4",
        Ok("SHOW TAG KEYS ON d FROM m LIMIT 1 OFFSET 2 SLIMIT 3 SOFFSET 4"),
    );
    check(
        r#"SHOW TAG VALUES FROM m WITH KEY IN (a, "b c") WHERE x = 'y'"#,
        Ok(r#"SHOW TAG VALUES FROM m WITH KEY IN (a, "b c") WHERE x = 'y'"#),
    );
    check(r#"SHOW TAG VALUES WITH KEY != "on""#, Ok(r#"SHOW TAG VALUES WITH KEY != "on""#));
    check("SHOW TAG VALUES WITH KEY !~ /x/", Ok("SHOW TAG VALUES WITH KEY !~ /x/"));
    check("SHOW TAG VALUES WITH KEY < a", Err("found <, expected IN, =, =~ at line 1, char 26"));
    check("SHOW TAG VALUES FROM m", Err("found EOF, expected WITH at line 1, char 24"));
    check("SHOW TAG VALUES EXACT CARDINALITY WITH KEY = a", Ok("SHOW TAG VALUES EXACT CARDINALITY WITH KEY = a"));
    check("SHOW TAG KEY CARDINALITY", Ok("SHOW TAG KEY CARDINALITY"));
    check("SHOW TAG KEY EXACT x", Err("found x, expected CARDINALITY at line 1, char 20"));
    check("SHOW FIELD KEY EXACT CARDINALITY FROM m", Ok("SHOW FIELD KEY EXACT CARDINALITY FROM m"));
    check("SHOW FIELD KEY x", Err("found x, expected EXACT, CARDINALITY at line 1, char 16"));
    check("SHOW FIELD KEYS FROM m ORDER BY time DESC", Ok("SHOW FIELD KEYS FROM m ORDER BY time DESC"));
    check("SHOW MEASUREMENT EXACT CARDINALITY", Ok("SHOW MEASUREMENT EXACT CARDINALITY"));
    check("SHOW MEASUREMENT CARDINALITY ON d", Ok("SHOW MEASUREMENT CARDINALITY ON d"));
}

#[test]
fn the_server_is_asked_and_told() {
    check("SHOW STATS FOR 'it''s'", Err("found s, expected ; at line 1, char 19"));
    check("SHOW STATS FOR 'a'", Ok("SHOW STATS FOR 'a'"));
    check("SHOW DIAGNOSTICS FOR ''", Ok("SHOW DIAGNOSTICS"));
    check("DROP SHARD 3", Ok("DROP SHARD 3"));
    check("DROP SHARD x", Err("found x, expected integer at line 1, char 12"));
    check(
        "KILL QUERY 18446744073709551616",
        Err(r#"strconv.ParseUint: parsing "18446744073709551616": value out of range at line 1, char 12"#),
    );
    check(r#"KILL QUERY 3 ON "host:1""#, Ok(r#"KILL QUERY 3 ON "host:1""#));
}

#[test]
fn policies_are_made_changed_and_dropped() {
    check("SHOW RETENTION POLICIES ON d", Ok("SHOW RETENTION POLICIES ON d"));
    check(
        "CREATE RETENTION POLICY p ON d DURATION 90m REPLICATION 1 SHARD DURATION 2h DEFAULT",
        Ok("CREATE RETENTION POLICY p ON d DURATION 90m REPLICATION 1 SHARD DURATION 2h DEFAULT"),
    );
    check(
        "CREATE RETENTION POLICY p ON d DURATION INF REPLICATION 1 SHARD DURATION INF",
        Err("invalid duration INF for shard duration at line 1, char 74"),
    );
    check(
        "CREATE RETENTION POLICY p ON d REPLICATION 1",
        Err("found REPLICATION, expected DURATION at line 1, char 32"),
    );
    check(
        "ALTER RETENTION POLICY DEFAULT ON d SHARD DURATION 1h DEFAULT REPLICATION 2 DURATION 7d",
        Ok(r#"ALTER RETENTION POLICY "default" ON d DURATION 1w REPLICATION 2 SHARD DURATION 1h DEFAULT"#),
    );
    check(
        "ALTER RETENTION POLICY p ON d",
        Err("found EOF, expected DURATION, REPLICATION, SHARD, DEFAULT at line 1, char 31"),
    );
    check("ALTER RETENTION POLICY p ON d DEFAULT DEFAULT", Err("found duplicate DEFAULT option at line 1, char 39"));
    check(r#"DROP RETENTION POLICY p ON "d""#, Ok("DROP RETENTION POLICY p ON d"));
}

#[test]
fn users_and_rights() {
    check(r#"SHOW GRANTS FOR "u 1""#, Ok(r#"SHOW GRANTS FOR "u 1""#));
    check(
        "CREATE USER u WITH PASSWORD 'secret' WITH ALL PRIVILEGES",
        Ok("CREATE USER u WITH PASSWORD [REDACTED] WITH ALL PRIVILEGES"),
    );
    check("CREATE USER u WITH PASSWORD secret", Err("found secret, expected string at line 1, char 29"));
    check("SET PASSWORD FOR u = 'secret'", Ok("SET PASSWORD FOR u = [REDACTED]"));
    check("SET PASSWORD FOR u 'secret'", Err("found secret, expected = at line 1, char 19"));
    check(r#"DROP USER "u""#, Ok("DROP USER u"));
    check("GRANT ALL ON d TO u", Ok("GRANT ALL PRIVILEGES ON d TO u"));
    check("GRANT ALL PRIVILEGES TO u", Ok("GRANT ALL PRIVILEGES TO u"));
    check("GRANT READ TO u", Err("found TO, expected ON at line 1, char 12"));
    check("GRANT x ON d TO u", Err("found x, expected READ, WRITE, ALL [PRIVILEGES] at line 1, char 7"));
    check("GRANT ALL d", Err("found d, expected ON, TO at line 1, char 11"));
    check("REVOKE WRITE ON d FROM u", Ok("REVOKE WRITE ON d FROM u"));
    check("REVOKE ALL FROM u", Ok("REVOKE ALL PRIVILEGES FROM u"));
    check("REVOKE ALL TO u", Err("found TO, expected ON, FROM at line 1, char 12"));
}

#[test]
fn continuous_queries_have_targets_and_intervals() {
    check(
        "CREATE CONTINUOUS QUERY c ON d RESAMPLE EVERY 1h FOR 2h BEGIN SELECT mean(v) INTO t FROM m GROUP BY time(30m), * END",
        Ok(
            "CREATE CONTINUOUS QUERY c ON d RESAMPLE EVERY 1h FOR 2h BEGIN SELECT mean(v) INTO t FROM m GROUP BY time(30m), * END",
        ),
    );
    check(
        "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT v INTO t FROM m END",
        Ok("CREATE CONTINUOUS QUERY c ON d BEGIN SELECT v INTO t FROM m END"),
    );
    check(
        "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO t FROM m END",
        Err("found m, expected GROUP BY time(...) at line 1, char 65"),
    );
    check(
        "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO t FROM m GROUP BY time(5) END",
        Err("found ), expected GROUP BY time(...), time dimension must have duration argument at line 1, char 82"),
    );
    check(
        "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT v FROM m END",
        Err("found FROM, expected INTO at line 1, char 47"),
    );
    check(
        "CREATE CONTINUOUS QUERY c ON d RESAMPLE BEGIN SELECT v INTO t FROM m END",
        Err("found BEGIN, expected EVERY, FOR at line 1, char 41"),
    );
    check(
        "CREATE CONTINUOUS QUERY c ON d RESAMPLE FOR 1m BEGIN SELECT mean(v) INTO t FROM m GROUP BY time(1h) END",
        Err("FOR duration must be >= GROUP BY time duration: must be a minimum of 1h, got 1m"),
    );
    check("DROP CONTINUOUS QUERY c ON d", Ok("DROP CONTINUOUS QUERY c ON d"));
}

#[test]
fn subscriptions_name_database_and_policy() {
    check(
        "CREATE SUBSCRIPTION s ON d.p DESTINATIONS ANY 'udp://a:1', 'udp://b:2'",
        Ok("CREATE SUBSCRIPTION s ON d.p DESTINATIONS ANY 'udp://a:1', 'udp://b:2'"),
    );
    check("CREATE SUBSCRIPTION s ON d .p DESTINATIONS ANY 'udp://a:1'", Err("found  , expected . at line 1, char 27"));
    check(
        "CREATE SUBSCRIPTION s ON d.p DESTINATIONS 'udp://a:1'",
        Err("found udp://a:1, expected ALL, ANY at line 1, char 42"),
    );
    check(r#"DROP SUBSCRIPTION s ON "d"."p""#, Ok("DROP SUBSCRIPTION s ON d.p"));
}

#[test]
fn data_is_deleted_by_place_and_condition() {
    check("DELETE FROM m WHERE time < '2020-01-01'", Ok("DELETE FROM m WHERE time < '2020-01-01'"));
    check("DELETE", Err("found EOF, expected FROM, WHERE at line 1, char 8"));
    check("DELETE FROM d..m", Err("database not supported at line 1, char 1"));
    check("DELETE FROM p.m", Err("retention policy not supported at line 1, char 1"));
    check("DROP SERIES FROM /x/ WHERE t = 'x'", Ok("DROP SERIES FROM /x/ WHERE t = 'x'"));
    check("DROP SERIES x", Err("found x, expected FROM, WHERE at line 1, char 13"));
    check("DROP MEASUREMENT /x/", Err("found /, expected identifier at line 1, char 18"));
    check(r#"DROP MEASUREMENT "a b""#, Ok(r#"DROP MEASUREMENT "a b""#));
}
