//! Tenants come, have what is theirs, and go with all of it.

use super::*;
use crate::catalog::roles::Base;
use crate::catalog::tenants::Tenant;

fn database_of(tenant: &str, name: &str) -> NewDatabase {
    NewDatabase { tenant: tenant.into(), ..database(name) }
}

fn tenants(catalog: &Catalog) -> Vec<String> {
    catalog.state().tenants().iter().map(|name| name.to_string()).collect()
}

#[tokio::test]
async fn a_tenant_goes_with_its_databases_roles_and_memberships_and_nothing_else() {
    let store = memory();
    let catalog = open(&store, 1).await;
    let note = Tenant { comment: Some("a note".into()) };
    catalog.create_tenant("t", note.clone()).await.unwrap();
    catalog.create_tenant("u", Tenant::default()).await.unwrap();
    for tenant in ["cnosdb", "t", "u"] {
        catalog.create_database(database_of(tenant, "d"), IfExists::Fail).await.unwrap();
        catalog.create_role(tenant, "r", Base::Member).await.unwrap();
    }
    catalog.create_user("ann", String::new(), false).await.unwrap();
    let join = |_: &CatalogState, user: &mut users::User| {
        for tenant in ["cnosdb", "t", "u"] {
            user.set_role_in(tenant, Some("r".into()));
        }
        Ok(())
    };
    catalog.change_user("ann", join).await.unwrap();
    catalog.close().await;
    let catalog = open(&store, 2).await;
    assert_eq!(tenants(&catalog), ["cnosdb", "t", "u"]);
    assert_eq!(catalog.state().tenant("t"), Some(note));
    let version = catalog.state().version;
    assert!(catalog.drop_tenant("t").await.unwrap());
    assert_eq!(catalog.state().version, version + 1, "all of it goes at once");
    let state = catalog.state();
    assert_eq!(tenants(&catalog), ["cnosdb", "u"]);
    for (tenant, is_there) in [("cnosdb", true), ("t", false), ("u", true)] {
        assert_eq!(state.database(tenant, "d").is_some(), is_there, "{tenant}");
        assert_eq!(state.role(tenant, "r").is_some(), is_there, "{tenant}");
        assert_eq!(state.account("ann").unwrap().belongs(tenant), is_there, "{tenant}");
    }
    assert!(!catalog.drop_tenant("t").await.unwrap());
    // Another one of the name begins with nothing.
    catalog.create_tenant("t", Tenant::default()).await.unwrap();
    assert!(catalog.state().databases("t").is_empty() && !catalog.state().account("ann").unwrap().belongs("t"));
}

#[tokio::test]
async fn what_has_no_tenant_is_refused() {
    let catalog = open(&memory(), 1).await;
    let nowhere = |error: CatalogError| assert!(matches!(error, CatalogError::TenantNotFound { .. }), "{error}");
    nowhere(catalog.create_database(database_of("t", "d"), IfExists::Keep).await.unwrap_err());
    nowhere(catalog.create_role("t", "r", Base::Owner).await.unwrap_err());
    nowhere(catalog.change_tenant("t", Tenant::default()).await.unwrap_err());
    assert!(catalog.drop_tenant("cnosdb").await.is_err());
    for taken in ["cnosdb", "t"] {
        let made = catalog.create_tenant(taken, Tenant::default()).await;
        let again = catalog.create_tenant(taken, Tenant::default()).await.unwrap_err();
        assert!(matches!(again, CatalogError::TenantExists { .. }), "{again}");
        assert_eq!(made.is_ok(), taken == "t");
    }
    for wrong in ["", "a/b", "..", "a\nb"] {
        let error = catalog.create_tenant(wrong, Tenant::default()).await.unwrap_err();
        assert!(matches!(error, CatalogError::InvalidName { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_tenant_from_before_they_were_made_is_there_while_it_has_databases() {
    let mut state = CatalogState::initial();
    let old = |tenant: &str| Change::CreateDatabase {
        tenant: tenant.into(),
        database: "d".into(),
        ordinal: 9,
        precision: Precision::Ns,
        policies: vec![RetentionPolicy::autogen()],
        default_policy: "autogen".into(),
    };
    state.apply(&old("old"));
    assert_eq!(state.tenant("old"), Some(Tenant::default()));
    assert_eq!(state.tenants().len(), 2);
    state.apply(&Change::DropDatabase { tenant: "old".into(), database: "d".into() });
    assert_eq!(state.tenant("old"), None);
}
