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
        all.refused(user, "t", "ALTER TENANT t SET comment = 'mine'", "010004");
        all.write(user, "cnosdb", "m v=9 9", Some("010004"));
    }
    // Members read, and write what their role lets them.
    all.refused(BOB, "t", "ALTER TENANT t ADD USER bob AS owner", "010004");
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

#[test]
fn owners_make_the_roles_of_their_tenant_and_everyone_sees_his_own() {
    let all = Tenants::start();
    all.done(ROOT, "cnosdb", "CREATE TENANT t");
    all.done(ROOT, "cnosdb", "ALTER TENANT t ADD USER ann AS owner");
    all.done(ANN, "t", "CREATE DATABASE d");
    all.write(ANN, "t", "m,a=x v=1 1", None);
    all.done(ANN, "t", "CREATE ROLE reader INHERIT member");
    all.done(ANN, "t", "CREATE ROLE nothing");
    all.done(ANN, "t", "GRANT WRITE ON DATABASE d TO ROLE reader");
    all.done(ANN, "t", "ALTER TENANT t ADD USER bob AS nothing");
    // Another tenant's roles, tenants and users are not theirs.
    all.refused(ANN, "cnosdb", "CREATE ROLE r", "010004");
    all.refused(ANN, "t", "ALTER TENANT cnosdb ADD USER ann AS owner", "010004");
    all.refused(ANN, "t", "CREATE USER eve", "010004");
    all.refused(BOB, "t", "CREATE ROLE r", "010004");
    let roles =
        "role_name,role_type,inherit_role\nmember,system,\nnothing,custom,\nowner,system,\nreader,custom,member\n";
    all.check(ANN, "t", "SELECT * FROM information_schema.ROLES ORDER BY role_name", roles);
    all.check(BOB, "t", "SELECT * FROM information_schema.roles", "role_name,role_type,inherit_role\n");
    let mine = "SELECT * FROM information_schema.enabled_roles";
    all.check(ANN, "t", mine, "role_name\nowner\n");
    all.check(BOB, "t", mine, "role_name\nnothing\n");
    all.check(ROOT, "t", mine, "role_name\n");
    let rights = "SELECT * FROM information_schema.database_privileges";
    let head = "tenant_name,database_name,privilege_type,role_name\n";
    all.check(ANN, "t", rights, &format!("{head}t,d,Write,reader\n"));
    all.check(BOB, "t", rights, head);
    // A role that inherits nothing has what it was given.
    all.refused(BOB, "t", "SELECT v FROM m", "010004");
    all.done(ANN, "t", "GRANT READ ON DATABASE d TO nothing");
    all.check(BOB, "t", "SELECT v FROM m", "v\n1.0\n");
    all.check(BOB, "t", rights, &format!("{head}t,d,Read,nothing\n"));
    all.write(BOB, "t", "m,a=x v=1 1", Some("010004"));
    let users = "SELECT user_name, is_admin FROM cluster_schema.users ORDER BY user_name";
    all.check(ROOT, "t", users, "user_name,is_admin\nann,false\nbob,false\nroot,true\n");
    all.check(ANN, "t", users, "user_name,is_admin\n");
    all.done(ROOT, "cnosdb", "CREATE DATABASE d");
    let running = "SELECT user_name, database_name, query_text FROM information_schema.queries";
    all.check(ROOT, "cnosdb", running, &format!("user_name,database_name,query_text\nroot,d,\"{running}\"\n"));
    all.check(ANN, "t", running, "user_name,database_name,query_text\n");
    all.done(ROOT, "t", "ALTER TENANT cnosdb ADD USER ann AS member");
    all.check(ANN, "cnosdb", running, &format!("user_name,database_name,query_text\nann,d,\"{running}\"\n"));
    let options = "SELECT user_options FROM cluster_schema.users WHERE user_name = 'ann'";
    all.done(ROOT, "t", "ALTER USER ann SET comment = 'a note', must_change_password = true");
    let json = "{\"\"hash_password\"\":\"\"*****\"\",\"\"must_change_password\"\":true,\"\"comment\"\":\"\"a note\"\"}";
    all.check(ROOT, "t", options, &format!("user_options\n\"{json}\"\n"));
}

#[test]
fn a_password_that_must_be_changed_is_changed_first() {
    let mut all = Tenants::start();
    all.done(ROOT, "cnosdb", "CREATE DATABASE d");
    all.done(ROOT, "cnosdb", "CREATE USER eve WITH PASSWORD = 'e', must_change_password = true, granted_admin = true");
    all.done(ROOT, "cnosdb", "ALTER TENANT cnosdb ADD USER ann AS owner");
    all.done(ROOT, "cnosdb", "ALTER USER ann SET must_change_password = true");
    const EVE: &str = "Basic ZXZlOmU=";
    for user in [EVE, ANN] {
        for statement in [
            "SELECT 1",
            "SHOW DATABASES",
            "CREATE DATABASE e",
            "DROP DATABASE d",
            "ALTER USER bob SET PASSWORD = 'x'",
            "selec",
        ] {
            let answer = all.post("/api/v1/sql", user, "cnosdb", statement).expect(422);
            let (code, message) = answer.cnosdb_error();
            assert_eq!(
                (code.as_str(), message.contains("change password")),
                ("010004", true),
                "{statement}: {message}"
            );
        }
        all.write(user, "cnosdb", "m v=1 1", Some("010004"));
        let shown = all.gate.get("/query?q=CREATE+DATABASE+x").header("Authorization", user).send();
        assert!((400..500).contains(&shown.status), "{shown}");
    }
    all.refused(ANN, "cnosdb", "ALTER USER ann SET PASSWORD = 'n', granted_admin = true", "010004");
    all.gate.kill_and_restart();
    all.done(ANN, "cnosdb", "ALTER USER ann SET PASSWORD = 'a2'");
    const ANN_2: &str = "Basic YW5uOmEy";
    all.done(ANN_2, "cnosdb", "CREATE DATABASE e");
    all.done(EVE, "cnosdb", "ALTER USER eve SET PASSWORD = 'e2'");
    all.done("Basic ZXZlOmUy", "cnosdb", "CREATE USER fay");
    // Everybody may, and only his own.
    all.done(ROOT, "cnosdb", "ALTER TENANT cnosdb ADD USER bob AS member");
    all.done(BOB, "cnosdb", "ALTER USER bob SET PASSWORD = 'b2'");
    all.refused("Basic Ym9iOmIy", "cnosdb", "ALTER USER ann SET PASSWORD = 'x'", "010004");
}
