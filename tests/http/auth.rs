//! Authentication on: who gets in, with what, and what he may do.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use tidegate::config::Listener;
use tidegate::protocol::routes::Access;
use tidegate::server::served_routes;

use crate::http_gate::{Answer, Gate, encoded, refused_start};

const ADMIN: &str = "u=root&p=secret";
const ADMIN_BASIC: &str = "Basic cm9vdDpzZWNyZXQ=";

/// A gateway with the administrator `root`, databases `d` and `e`, and `ann`, who may read `d`.
fn gate() -> Gate {
    let gate = Gate::with(&[("auth.enabled", "true")]);
    let create = encoded("CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES");
    gate.post(&format!("/query?q={create}"), "").send().expect(200);
    for q in ["CREATE DATABASE d", "CREATE DATABASE e", "CREATE USER ann WITH PASSWORD 'a'", "GRANT READ ON d TO ann"] {
        assert!(!ask(&gate, ADMIN, q).text().contains("error"), "{q}");
    }
    gate
}

fn ask(gate: &Gate, credentials: &str, q: &str) -> Answer {
    gate.post(&format!("/query?db=d&{credentials}&q={}", encoded(q)), "").send()
}

/// The text of a 401 or 403.
#[track_caller]
fn refusal(answer: Answer, status: u16) -> String {
    let answer = answer.expect(status);
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, (status == 401).then_some("Basic realm=\"InfluxDB\""), "{answer}");
    answer.json()["error"].as_str().unwrap_or_else(|| panic!("no error in {answer}")).to_string()
}

#[test]
fn every_route_asks_who_is_there_unless_it_is_open() {
    let gate = gate();
    let mut open = BTreeSet::new();
    let mut checked = 0;
    for listener in Listener::ALL {
        for route in served_routes(listener) {
            for method in route.methods {
                let answer = gate.ask(method.as_str(), &route.path).at(listener).send();
                match route.access {
                    Access::Checked => {
                        answer.expect(401);
                        checked += 1;
                    }
                    Access::Open => {
                        assert_ne!(answer.status, 401, "{answer}");
                        open.insert((method.to_string(), route.path.clone()));
                    }
                }
            }
        }
    }
    assert!(checked >= 5 * 8, "only {checked} routes were asked");
    // What is open is open on purpose: whoever adds to this list says why in his commit.
    open.retain(|(method, _)| method != "OPTIONS" && method != "HEAD");
    // What log shippers are told below CnosDB's `/api/v1/es` is the same for everyone, and nothing is kept of what they send.
    open.retain(|(_, path)| !path.starts_with("/api/v1/es/_"));
    // TDengine's paths with a slash too many: everyone is shown the same way, to where he is asked.
    open.retain(|(_, path)| !path.ends_with('/'));
    let paths: Vec<&str> = open.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["/-/ping", "/api/v1/es", "/api/v1/ping", "/health", "/ping", "/ready", "/status"]);
}

#[test]
fn before_there_is_a_user_only_an_administrator_can_be_made() {
    let gate = Gate::with(&[("auth.enabled", "true")]);
    let first = "error authorizing query: create admin user first or disable authentication";
    for q in ["SHOW DATABASES", "CREATE DATABASE d", "CREATE USER ann WITH PASSWORD 'a'"] {
        assert_eq!(refusal(ask(&gate, "", q), 403), first);
        assert_eq!(refusal(ask(&gate, ADMIN, q), 403), first);
    }
    let write = refusal(gate.post("/write?db=public", "m v=1").send(), 403);
    assert_eq!(write, "user is required to write to database \"public\"");
    gate.ask_sql("public", "select 1").send().expect(401);
    gate.get("/metrics").send().expect(401);
    gate.get("/ping").send().expect(204);
    gate.get("/health").send().expect(200);
    ask(&gate, "", "CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES").expect(200);
    refusal(ask(&gate, "", "CREATE USER more WITH PASSWORD 'secret' WITH ALL PRIVILEGES"), 401);
}

#[test]
fn credentials_decide_who_gets_in() {
    let mut gate = gate();
    let refused = |gate: &Gate, credentials: &str| {
        refusal(gate.get(&format!("/query?q=SHOW%20DATABASES&{credentials}")).send(), 401)
    };
    for credentials in ["", "u=root", "p=secret", "u=&p="] {
        assert_eq!(refused(&gate, credentials), "unable to parse authentication credentials");
    }
    assert_eq!(refused(&gate, "u=root&p=wrong"), "authorization failed");
    assert_eq!(refused(&gate, "u=nobody&p=secret"), "authorization failed");
    // Also where the question makes no sense.
    assert_eq!(refusal(gate.get("/query?q=nonsense").send(), 401), "unable to parse authentication credentials");
    let with_header = |gate: &Gate, path: &str, value: &str| {
        let ask = if path.contains("write") { gate.post(path, "m v=1") } else { gate.get(path) };
        ask.header("Authorization", value).send().status
    };
    for _ in 0..2 {
        for (value, query, write_v2) in [
            (ADMIN_BASIC, 200, 204),
            ("Token root:secret", 401, 204),
            ("Basic cm9vdDp3cm9uZw==", 401, 401),
            ("Token root:wrong", 401, 401),
            ("Bearer a.b.c", 401, 401),
        ] {
            assert_eq!(with_header(&gate, "/query?q=SHOW%20DATABASES", value), query, "{value}");
            assert_eq!(with_header(&gate, "/api/v2/write?bucket=d", value), write_v2, "{value}");
        }
        gate.kill_and_restart();
    }
    gate.get("/metrics").header("Authorization", ADMIN_BASIC).send().expect(200);
    gate.get("/metrics").header("Authorization", "Basic YW5uOmE=").send().expect(403);
    assert!(!gate.log().contains("secret"));
}

#[test]
fn rights_decide_what_is_done() {
    let gate = gate();
    const ANN: &str = "u=ann&p=a";
    let listed = ask(&gate, ANN, "SHOW DATABASES").json();
    assert_eq!(listed["results"][0]["series"][0]["values"], serde_json::json!([["d"]]));
    assert_eq!(ask(&gate, ANN, "SHOW MEASUREMENTS").expect(200).text(), "{\"results\":[{\"statement_id\":0}]}\n");
    let refused = |q: &str| {
        let text = refusal(ask(&gate, ANN, q), 403);
        let (start, what) = text.split_once(" not authorized to execute statement '").unwrap();
        assert_eq!(start, "error authorizing query: ann");
        what.to_string()
    };
    assert_eq!(refused("SHOW MEASUREMENTS ON e"), "SHOW MEASUREMENTS ON e', requires READ on e");
    assert_eq!(refused("DROP DATABASE d"), "DROP DATABASE d', requires admin privilege");
    assert_eq!(
        refused("SET PASSWORD FOR ann = 'better'"),
        "SET PASSWORD FOR ann = [REDACTED]', requires admin privilege"
    );
    // One refused statement refuses them all.
    assert_eq!(refused("SHOW MEASUREMENTS; DELETE FROM m"), "DELETE FROM m', requires WRITE on d");
    let write =
        |database: &str, password: &str| gate.post(&format!("/write?db={database}&u=ann&p={password}"), "m v=1").send();
    assert_eq!(refusal(write("d", "a"), 403), "\"ann\" user is not authorized to write to database \"d\"");
    assert_eq!(refusal(write("missing", "a"), 404), "database not found: \"missing\"");
    ask(&gate, ADMIN, "GRANT ALL ON d TO ann").expect(200);
    write("d", "a").expect(204);
    refusal(write("e", "a"), 403);
    ask(&gate, ADMIN, "SET PASSWORD FOR ann = 'b'").expect(200);
    refusal(write("d", "a"), 401);
    write("d", "b").expect(204);
    ask(&gate, ADMIN, "DROP USER ann").expect(200);
    refusal(write("d", "b"), 401);
}

#[test]
fn sql_asks_the_same_users() {
    let gate = gate();
    const ANN: &str = "Basic YW5uOmE=";
    let sql = |header: &str, database: &str, statement: &str| {
        let ask = gate.ask_sql(database, statement);
        if header.is_empty() { ask.send() } else { ask.header("Authorization", header).send() }
    };
    for database in ["d", "e"] {
        gate.post(&format!("/write?db={database}&{ADMIN}"), "m v=1 1").send().expect(204);
    }
    let (code, message) = sql("", "d", "select 1").expect(401).cnosdb_error();
    assert_eq!((code.as_str(), message.as_str()), ("000000", "Missing request header \"authorization\""));
    for wrong in ["Basic cm9vdDo=", "Basic bm9ib2R5Ong="] {
        assert_eq!(sql(wrong, "d", "select 1").expect(401).cnosdb_error().0, "010016");
    }
    sql("Bearer x", "d", "select 1").expect(400);
    assert_eq!(sql(ADMIN_BASIC, "e", "select v from m").expect(200).text(), "v\n1.0\n");
    assert_eq!(sql(ANN, "d", "select v from m").expect(200).text(), "v\n1.0\n");
    for (database, statement) in [
        ("e", "select v from m"),
        ("d", "select v from e.m"),
        ("d", "select a.v from m a join e.m b on a.time = b.time"),
        ("d", "select v from m where v in (select v from e.m)"),
        ("d", "describe table e.m"),
        ("d", "show tables on e"),
    ] {
        let (code, message) = sql(ANN, database, statement).expect(422).cnosdb_error();
        let expected = "Insufficient privileges, expected [Read on database e of tenant cnosdb]";
        assert_eq!((code.as_str(), message.as_str()), ("010004", expected), "{statement}");
    }
    assert_eq!(sql(ANN, "d", "select current_user() as u").expect(200).text(), "u\nann\n");
    assert_eq!(sql(ANN, "d", "show databases").expect(200).text(), "database_name\ncluster_schema\nd\nusage_schema\n");
    let listed =
        "select distinct table_schema from information_schema.tables where table_schema <> 'information_schema'";
    assert_eq!(sql(ANN, "d", listed).expect(200).text(), "table_schema\nd\n");
    assert_eq!(sql(ANN, "d", "create database f").expect(422).cnosdb_error().0, "010004");
    assert_eq!(sql(ANN, "d", "drop database d").expect(422).cnosdb_error().0, "010004");
    let write = |header: &str, database: &str| {
        let ask = gate.post(&format!("/api/v1/write?db={database}"), "m v=1 1").at(Listener::Cnosdb);
        ask.header("Authorization", header).send()
    };
    assert_eq!(write(ANN, "d").expect(422).cnosdb_error().0, "010004");
    write(ADMIN_BASIC, "d").expect(200);
    ask(&gate, ADMIN, "CREATE USER bob WITH PASSWORD 'b'").expect(200);
    assert_eq!(sql("Basic Ym9iOmI=", "d", "select 1").expect(422).cnosdb_error().0, "010004");
}

#[test]
fn roles_give_rights_to_those_who_have_them() {
    let settings = [("auth.enabled", "true"), ("auth.admin_user", "root"), ("auth.admin_password", "secret")];
    let gate = Gate::with(&settings);
    let sql = |header: &str, statement: &str| {
        let answer = gate.ask_sql("public", statement).header("Authorization", header).send();
        (answer.status, if answer.status == 200 { String::new() } else { answer.cnosdb_error().0 })
    };
    let root = |statement: &str| assert_eq!(sql(ADMIN_BASIC, statement), (200, String::new()), "{statement}");
    const ANN: &str = "Basic YW5uOmE=";
    let refused = |code: &str| (422, code.to_string());
    let fine = (200, String::new());
    root("create user ann with password='a'");
    assert_eq!(sql(ANN, "select 1"), refused("010004"));
    root("alter tenant cnosdb add user ann as member");
    assert_eq!(sql(ANN, "select 1"), fine);
    for statement in ["create database x", "create user bob", "grant all on database public to role r"] {
        assert_eq!(sql(ANN, statement), refused("010004"), "{statement}");
    }
    root("alter tenant cnosdb set user ann as owner");
    assert_eq!(sql(ANN, "create database x"), fine);
    assert_eq!(sql(ANN, "create user bob"), refused("010004"));
    root("create role r inherit member");
    root("grant write on database x to role r");
    root("alter tenant cnosdb set user ann as r");
    let write = |database: &str| {
        let ask = gate.post(&format!("/api/v1/write?db={database}"), "m v=1 1").at(Listener::Cnosdb);
        ask.header("Authorization", ANN).send().status
    };
    assert_eq!((write("x"), write("public")), (200, 422));
    // The same rights hold at other doors.
    gate.post("/write?db=x&u=ann&p=a", "m v=1 1").send().expect(204);
    root("revoke write on database x from role r");
    assert_eq!(write("x"), 422);
    root("drop role r");
    assert_eq!(sql(ANN, "select 1"), refused("010004"));
    for (statement, code) in [
        ("create user ann", "030007"),
        ("alter user nobody set password='x'", "030008"),
        ("drop role r", "030016"),
        ("alter tenant cnosdb set user ann as r", "030016"),
        ("alter tenant other add user ann as member", "030010"),
    ] {
        assert_eq!(sql(ADMIN_BASIC, statement), refused(code), "{statement}");
    }
    // A user without a password is let in by none.
    root("create user silent");
    assert_eq!(gate.ask_sql("public", "select 1").header("Authorization", "Basic c2lsZW50Og==").send().status, 401);
}

#[test]
fn opentsdb_asks_the_same_users() {
    let gate = gate();
    let ask = |path: &str, header: &str| {
        let ask = gate.get(path).at(Listener::Opentsdb);
        if header.is_empty() { ask.send() } else { ask.header("Authorization", header).send() }
    };
    let refused = ask("/api/query?start=1h-ago&m=sum:x", "").expect(401);
    assert_eq!(refused.json()["error"]["code"], 401, "{refused}");
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"tidegate\""));
    ask("/api/query?start=1h-ago&m=sum:x", "Basic cm9vdDp3cm9uZw==").expect(401);
    ask("/api/query?start=1h-ago&m=sum:x", "Basic YW5uOmE=").expect(403);
    ask("/api/version", "Basic YW5uOmE=").expect(200);
    assert_ne!(ask("/api/query?start=1h-ago&m=sum:x", ADMIN_BASIC).status, 403);
    // What is logged speaks of everybody.
    ask("/logs", "").expect(401);
    ask("/logs?json", "Basic YW5uOmE=").expect(403);
    ask("/logs?json", ADMIN_BASIC).expect(200);
    let point = r#"{"metric":"x","timestamp":1,"value":1,"tags":{"a":"b"}}"#;
    gate.post("/api/put", point).at(Listener::Opentsdb).send().expect(401);
    let put = gate.post("/api/put", point).at(Listener::Opentsdb).header("Authorization", ADMIN_BASIC);
    put.send().expect(204);
    // Lines cannot say who sends them.
    let mut lines = gate.connect(Listener::Opentsdb);
    lines.write_all(b"put y 1 1 a=b\n").unwrap();
    let mut said = String::new();
    let _ = lines.read_to_string(&mut said);
    assert!(said.is_empty() || said.starts_with("authentication required"), "{said}");
    let metrics = gate.ask_sql("opentsdb", "show tables").header("Authorization", ADMIN_BASIC).send().expect(200);
    assert_eq!(metrics.text(), "table_name\nx\n");
}

#[test]
fn the_settings_may_name_the_first_administrator() {
    let settings = [
        ("auth.enabled", "true"),
        ("auth.admin_user", "root"),
        ("auth.admin_password", "s3cret-first"),
        ("log.level", "debug"),
    ];
    let mut gate = Gate::with(&settings);
    let get = |gate: &Gate, password: &str| ask(gate, &format!("u=root&p={password}"), "SHOW DATABASES").status;
    assert_eq!((get(&gate, "s3cret-first"), get(&gate, "other")), (200, 401));
    // He is not made again, and his password stays as he changed it.
    ask(&gate, "u=root&p=s3cret-first", "SET PASSWORD FOR root = 'mine'").expect(200);
    gate.kill_and_restart();
    assert_eq!((get(&gate, "s3cret-first"), get(&gate, "mine")), (401, 200));
    assert!(!gate.log().contains("s3cret"), "{}", gate.log());
}

#[test]
fn secrets_may_be_in_files_and_a_signed_token_lets_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (password, secret) = (file("password", "pass word\n"), file("secret", " tidegate-secret\n"));
    let gate = Gate::with(&[
        ("auth.enabled", "true"),
        ("auth.admin_user", "root"),
        ("auth.admin_password_file", &password),
        ("auth.jwt_secret_file", &secret),
    ]);
    ask(&gate, "u=root&p=pass%20word", "SHOW DATABASES").expect(200);
    // {"alg":"HS256","typ":"JWT"} {"username":"root","exp":4102444800}, signed with "tidegate-secret" and with "other".
    let head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6InJvb3QiLCJleHAiOjQxMDI0NDQ4MDB9";
    for (signature, status) in
        [("q00GKlVmyYwkIuodCBzqti1LWc62pkncfLXlxgkdP7M", 200), ("1QcF9tbH5iTyDOZWmLPktLWOlnL1D_KXknciktIiNuc", 401)]
    {
        let token = format!("Bearer {head}.{signature}");
        gate.get("/query?q=SHOW%20DATABASES").header("Authorization", &token).send().expect(status);
    }
    let missing = refused_start(&[
        "serve",
        "--set",
        "storage.url=memory:///",
        "--set",
        "wal.dir={folder}/wal",
        "--set",
        "query.temp_dir={folder}/tmp",
        "--set",
        "listen.influxdb=127.0.0.1:0",
        "--set",
        "listen.opentsdb=off",
        "--set",
        "listen.tdengine=off",
        "--set",
        "listen.cnosdb=off",
        "--set",
        "listen.elasticsearch=off",
        "--set",
        "auth.jwt_secret_file={folder}/nowhere",
    ]);
    assert!(missing.stderr.contains("`auth.jwt_secret_file`"), "{}", missing.stderr);
}

#[test]
fn credentials_are_ignored_while_authentication_is_off() {
    let gate = Gate::start();
    gate.create_database("d");
    gate.get("/query?q=SHOW%20DATABASES&u=root&p=wrong").send().expect(200);
    gate.post("/write?db=d", "m v=1").header("Authorization", "Basic !").send().expect(204);
    gate.post("/write?db=d", "m v=1").header("Authorization", "Bearer x").send().expect(204);
    gate.get("/metrics").send().expect(200);
}

#[test]
fn a_password_in_a_path_is_in_no_log() {
    let gate = Gate::with(&[("auth.enabled", "true"), ("log.level", "debug")]);
    gate.get("/rest/login/root/unheard-of").at(Listener::Tdengine).send();
    gate.get("/health").send().expect(200);
    let log = gate.log();
    assert!(log.contains("/rest/login/") && !log.contains("unheard-of"), "{log}");
}
