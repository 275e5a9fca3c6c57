//! The stores that one session's plans read from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::Result;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::ObjectStore;
use url::Url;

/// The gateway's store, and stores of files that this session alone knows; they go with it.
#[derive(Debug)]
pub(in crate::query) struct SessionStores {
    base: Arc<dyn ObjectStoreRegistry>,
    own: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl SessionStores {
    pub(in crate::query) fn over(base: Arc<dyn ObjectStoreRegistry>) -> SessionStores {
        SessionStores { base, own: Mutex::default() }
    }

    fn own(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<dyn ObjectStore>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectStoreRegistry for SessionStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.own().insert(url.as_str().to_string(), store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match self.own().get(url.as_str()) {
            Some(store) => Ok(store.clone()),
            None => self.base.get_store(url),
        }
    }
}

/// Makes a store known to a session under a name that no other store has.
pub(super) fn register(runtime: &RuntimeEnv, store: Arc<dyn ObjectStore>) -> Result<ObjectStoreUrl> {
    let url = ObjectStoreUrl::parse(format!("exchange://{}/", uuid::Uuid::new_v4().simple()))?;
    runtime.register_object_store(url.as_ref(), store);
    Ok(url)
}
