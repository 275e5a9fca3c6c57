//! Tenants of CnosDB: what is in one is not there for another, and members have the rights of their roles.

use tidegate::config::Listener;

use crate::http_gate::{Answer, Gate, encoded};

const ROOT: &str = "Basic cm9vdDpzZWNyZXQ=";
const ANN: &str = "Basic YW5uOmE=";
const BOB: &str = "Basic Ym9iOmI=";

struct Tenants {
    gate: Gate,
}

impl Tenants {
    /// A gateway with the administrator `root`, and `ann` and `bob`, who belong to nobody.
    fn start() -> Tenants {
        let gate = Gate::with(&[("auth.enabled", "true")]);
        let create = encoded("CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES");
        gate.post(&format!("/query?q={create}"), "").send().expect(200);
        let all = Tenants { gate };
        all.done(ROOT, "cnosdb", "CREATE USER ann WITH PASSWORD = 'a'");
        all.done(ROOT, "cnosdb", "CREATE USER bob WITH PASSWORD = 'b'");
        all
    }

    fn post(&self, path: &str, user: &str, tenant: &str, body: &str) -> Answer {
        let path = format!("{path}?db=d&tenant={}", encoded(tenant));
        self.gate.post(&path, body).at(Listener::Cnosdb).header("Authorization", user).send()
    }

    #[track_caller]
    fn check(&self, user: &str, tenant: &str, statement: &str, expected: &str) {
        let answer = self.post("/api/v1/sql", user, tenant, statement).expect(200);
        assert_eq!(answer.text(), expected, "{tenant}: {statement}");
    }

    #[track_caller]
    fn done(&self, user: &str, tenant: &str, statement: &str) {
        self.check(user, tenant, statement, "");
    }

    #[track_caller]
    fn refused(&self, user: &str, tenant: &str, statement: &str, code: &str) {
        let answer = self.post("/api/v1/sql", user, tenant, statement).expect(422);
        assert_eq!(answer.cnosdb_error().0, code, "{tenant}: {statement}: {answer}");
    }

    #[track_caller]
    fn write(&self, user: &str, tenant: &str, lines: &str, code: Option<&str>) {
        let answer = self.post("/api/v1/write", user, tenant, lines);
        match code {
            None => drop(answer.expect(200)),
            Some(code) => assert_eq!(answer.expect(422).cnosdb_error().0, code, "{tenant}: {lines}"),
        }
    }
}

#[test]
fn a_tenants_members_have_what_is_in_it_and_nothing_else() {
    let mut all = Tenants::start();
    all.done(ROOT, "cnosdb", "CREATE DATABASE d");
    all.done(ROOT, "cnosdb", "CREATE TENANT t WITH comment = 'a note'");
    all.done(ROOT, "cnosdb", "CREATE TENANT IF NOT EXISTS t");
    all.refused(ROOT, "cnosdb", "CREATE TENANT t", "030009");
    all.refused(ANN, "t", "SELECT 1", "010004");
    all.done(ROOT, "cnosdb", "ALTER TENANT t ADD USER ann AS owner");
    all.done(ROOT, "cnosdb", "ALTER TENANT t ADD USER bob AS member");
    // A tenant begins without databases.
    all.check(ANN, "t", "SHOW DATABASES", "database_name\ncluster_schema\nusage_schema\n");
    all.write(ANN, "t", "m,a=x v=1 1", Some("030017"));
    all.done(ANN, "t", "CREATE DATABASE d WITH TTL '30d'");
    all.write(ANN, "t", "m,a=x v=1 1735689600000000000", Some("050025"));
    all.done(ANN, "t", "ALTER DATABASE d SET TTL 'inf'");
    all.write(ANN, "t", "m,a=x v=1 1", None);
    all.write(ROOT, "cnosdb", "m,a=x v=2 1\nm,a=y v=3 2", None);
    for _ in 0..2 {
        all.check(ANN, "t", "SELECT a, v FROM m", "a,v\nx,1.0\n");
        all.check(
            BOB,
            "t",
            "SELECT t.d.m.v, current_tenant() AS t, current_role() AS r FROM t.d.m",
            "v,t,r\n1.0,t,member\n",
        );
        all.check(ROOT, "cnosdb", "SELECT a, v FROM m ORDER BY v", "a,v\nx,2.0\ny,3.0\n");
        all.gate.kill_and_restart();
    }
    // Neither of them is anything in the default tenant, nor can it be reached from theirs.
    for user in [ANN, BOB] {
        all.refused(user, "cnosdb", "SELECT v FROM m", "010004");
        all.refused(user, "t", "SELECT v FROM cnosdb.d.m", "030017");
        all.refused(user, "t", "CREATE TABLE cnosdb.d.n(v BIGINT)", "010004");
        all.refused(user, "t", "CREATE TENANT u", "010004");
        all.refused(user, "t", "DROP TENANT t", "010004");
        all.refused(user, "t", "ALTER TENANT t ADD USER bob AS owner", "010004");
        all.write(user, "cnosdb", "m v=9 9", Some("010004"));
    }
    // Members read, and write what their role lets them.
    all.write(BOB, "t", "m,a=x v=2 2", Some("010004"));
    all.refused(BOB, "t", "CREATE DATABASE e", "010004");
    all.done(ROOT, "t", "CREATE ROLE writers INHERIT member");
    all.done(ROOT, "t", "GRANT WRITE ON DATABASE d TO ROLE writers");
    all.refused(ROOT, "cnosdb", "ALTER TENANT cnosdb ADD USER bob AS writers", "030016");
    all.done(ROOT, "cnosdb", "ALTER TENANT t SET USER bob AS writers");
    all.write(BOB, "t", "m,a=x v=2 2", None);
    all.check(ANN, "t", "SELECT count(*) AS n FROM m", "n\n2\n");
    all.done(ROOT, "cnosdb", "ALTER TENANT t REMOVE USER bob");
    all.refused(BOB, "t", "SELECT 1", "010004");
}

#[test]
fn tenants_are_listed_to_administrators_changed_and_dropped() {
    let all = Tenants::start();
    all.done(ROOT, "cnosdb", "CREATE DATABASE d");
    all.write(ROOT, "cnosdb", "m v=1 1", None);
    all.done(ROOT, "cnosdb", "CREATE TENANT t");
    all.done(ROOT, "cnosdb", "CREATE TENANT u WITH comment = 'x'");
    all.done(ROOT, "cnosdb", "ALTER TENANT t SET comment = 'y'");
    all.done(ROOT, "cnosdb", "ALTER TENANT u UNSET comment");
    all.done(ROOT, "cnosdb", "ALTER TENANT t ADD USER ann AS owner");
    let tenants = "SELECT * FROM cluster_schema.tenants ORDER BY tenant_name";
    let listed = "tenant_name,tenant_options\ncnosdb,{}\nt,\"{\"\"comment\"\":\"\"y\"\"}\"\nu,{}\n";
    all.check(ROOT, "t", tenants, listed);
    all.check(ANN, "t", tenants, "tenant_name,tenant_options\nt,\"{\"\"comment\"\":\"\"y\"\"}\"\n");
    let members = "SELECT * FROM information_schema.members";
    all.check(ANN, "t", members, "user_name,role_name\nann,owner\n");
    all.check(ROOT, "u", members, "user_name,role_name\n");
    all.done(ANN, "t", "CREATE DATABASE d");
    all.write(ANN, "t", "m v=2 2", None);
    for (statement, code) in [
        ("DROP TENANT cnosdb", "010064"),
        ("DROP TENANT nowhere", "030010"),
        ("ALTER TENANT nowhere SET comment = 'x'", "030010"),
        ("ALTER TENANT nowhere ADD USER ann AS owner", "030010"),
        ("DROP TENANT t AFTER '7d'", "010005"),
        ("CREATE TENANT v WITH _limiter = '{}'", "010005"),
    ] {
        all.refused(ROOT, "cnosdb", statement, code);
    }
    for path in ["/api/v1/sql", "/api/v1/write", "/api/v1/opentsdb/write", "/api/v1/opentsdb/put"] {
        let answer = all.post(path, ROOT, "nowhere", "select 1").expect(422);
        assert_eq!(answer.cnosdb_error().0, "030010", "{answer}");
    }
    all.done(ROOT, "cnosdb", "DROP TENANT t");
    all.done(ROOT, "cnosdb", "DROP TENANT IF EXISTS t");
    all.refused(ANN, "t", "SELECT 1", "010004");
    all.refused(ROOT, "t", "SELECT 1", "030010");
    all.check(ROOT, "cnosdb", "SELECT v FROM m", "v\n1.0\n");
    all.done(ROOT, "cnosdb", "CREATE TENANT t");
    all.refused(ANN, "t", "SELECT 1", "010004");
    all.check(ROOT, "t", "SHOW DATABASES", "database_name\ncluster_schema\nusage_schema\n");
}
