//! Whether credentials are true.
//!
//! Passwords are hashed slowly on purpose. One that proved right is remembered under a keyed hash of itself and of the hash it was
//! compared with: nothing can be read back, and a changed password makes what is remembered of the old one worthless. How many are
//! hashed at once is bounded, and so is who waits for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::catalog::CatalogState;
use crate::model::{Classify, Kind};

use super::hmac::{Function, tag};
use super::passwords::{self, HashError};
use super::tokens::{self, TokenError};
use super::{Login, Principal};

/// Passwords that proved right and are remembered.
const REMEMBERED_MAX: u64 = 10_000;
/// Each hash takes 19 MiB and tens of milliseconds of a core.
const HASHED_AT_ONCE: usize = 4;
const WAITING_MAX: usize = 256;

/// Why nobody is let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// An unknown user or a wrong password: nobody is told which.
    #[error("username or password invalid")]
    Denied,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("too many passwords to check at once, try again later")]
    Busy,
}

impl Classify for AuthError {
    fn kind(&self) -> Kind {
        match self {
            AuthError::Denied | AuthError::Token(_) => Kind::Unauthenticated,
            AuthError::Busy => Kind::Overloaded,
        }
    }
}

/// Knows whether anybody must say who he is, and whether he is who he says.
pub struct Authenticator {
    is_on: bool,
    /// What bearer tokens are signed with.
    token_secret: Option<Vec<u8>>,
    remembered: Cache<Vec<u8>, ()>,
    /// Of what is remembered.
    key: [u8; 32],
    hashing: Arc<Semaphore>,
    /// Those who hash and those who wait for it.
    places: Arc<Semaphore>,
    /// The last answer of [`Authenticator::has_administrator`]: twice the catalog's version, and one if there is one.
    administered: AtomicU64,
}

impl Authenticator {
    /// `key`: random bytes. Without a `token_secret` bearer tokens are refused.
    pub fn new(is_on: bool, token_secret: Option<&str>, key: [u8; 32]) -> Self {
        Authenticator {
            is_on,
            token_secret: token_secret.map(|secret| secret.as_bytes().to_vec()),
            remembered: Cache::new(REMEMBERED_MAX),
            key,
            hashing: Arc::new(Semaphore::new(HASHED_AT_ONCE)),
            places: Arc::new(Semaphore::new(HASHED_AT_ONCE + WAITING_MAX)),
            administered: AtomicU64::new(u64::MAX),
        }
    }

    /// Whether authentication is on.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether there is anybody who could let others in. Found out once a version of the catalog.
    pub fn has_administrator(&self, state: &CatalogState) -> bool {
        let known = self.administered.load(Ordering::Relaxed);
        if known >> 1 == state.version {
            return known & 1 == 1;
        }
        let found = state.users().iter().any(|user| user.is_admin);
        self.administered.store(state.version << 1 | u64::from(found), Ordering::Relaxed);
        found
    }

    /// The user with this name and password. Unknown names take as long as wrong passwords.
    pub async fn login(&self, state: &CatalogState, login: &Login) -> Result<Principal, AuthError> {
        let account = state.account(&login.name);
        let hash = account.as_ref().map_or(NOBODYS_HASH, |account| account.user.password_hash.as_str());
        match (self.is_right(hash, &login.password).await?, account) {
            (true, Some(account)) => Ok(Principal::User(Arc::new(account))),
            _ => Err(AuthError::Denied),
        }
    }

    /// The user that a bearer token names; `now_ns` since 1970.
    pub fn bearer(&self, state: &CatalogState, token: &str, now_ns: i64) -> Result<Principal, AuthError> {
        let secret = self.token_secret.as_deref().ok_or(TokenError::Disabled)?;
        let name = tokens::user_name(token, secret, now_ns.div_euclid(1_000_000_000))?;
        let account = state.account(&name).ok_or(TokenError::UnknownUser)?;
        Ok(Principal::User(Arc::new(account)))
    }

    /// Whether `hash` is that of `password`.
    pub async fn is_right(&self, hash: &str, password: &str) -> Result<bool, AuthError> {
        let key = tag(Function::Sha256, &self.key, &[hash.as_bytes(), b"\0", password.as_bytes()]);
        if self.remembered.contains_key(&key) {
            return Ok(true);
        }
        let held = self.turn().await.ok_or(AuthError::Busy)?;
        // Many connections with the same password come at once: the first one hashed it.
        if self.remembered.contains_key(&key) {
            return Ok(true);
        }
        let right = passwords::verify_password(hash, password, held).await;
        if right {
            self.remembered.insert(key, ());
        }
        Ok(right)
    }

    /// The hash that is kept of a new password.
    pub async fn hash(&self, password: &str) -> Result<String, HashError> {
        let held = self.turn().await.ok_or(HashError)?;
        passwords::hash_password(password, held).await
    }

    /// Waits for a turn to hash. The work takes it along: it goes on when its client hangs up. `None`: too many wait.
    async fn turn(&self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let turn = self.hashing.clone().acquire_owned().await.ok()?;
        Some((place, turn))
    }
}

/// Shows no secret.
impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("is_on", &self.is_on).finish_non_exhaustive()
    }
}

/// What passwords of users that do not exist are compared with. It is of no password.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Change;

    fn set(state: &mut CatalogState, name: &str, hash: &str) {
        let value = serde_json::json!({"name": name, "password_hash": hash});
        state.apply(&Change::PutDocument { collection: "users".into(), key: name.into(), value });
    }

    fn login(name: &str, password: &str) -> Login {
        Login { name: name.to_string(), password: password.to_string() }
    }

    #[tokio::test]
    async fn a_user_is_known_by_his_password_until_it_changes() {
        let authenticator = Authenticator::new(true, None, [7; 32]);
        let mut state = CatalogState::initial();
        set(&mut state, "ann", &authenticator.hash("first").await.unwrap());
        let check = async |state: &CatalogState, name: &str, password: &str, known: bool| {
            let found = authenticator.login(state, &login(name, password)).await;
            assert_eq!(found.as_ref().ok().and_then(Principal::name), known.then_some(name), "{name} {password}");
            assert!(known || found == Err(AuthError::Denied));
        };
        for _ in 0..2 {
            check(&state, "ann", "first", true).await;
            check(&state, "ann", "second", false).await;
            check(&state, "ann", "", false).await;
            check(&state, "bob", "first", false).await;
        }
        set(&mut state, "ann", &authenticator.hash("second").await.unwrap());
        check(&state, "ann", "first", false).await;
        check(&state, "ann", "second", true).await;
        check(&CatalogState::initial(), "ann", "second", false).await;
    }

    #[tokio::test]
    async fn a_password_that_proved_right_is_not_hashed_again() {
        let authenticator = Authenticator::new(true, None, [7; 32]);
        let hash = authenticator.hash("right").await.unwrap();
        assert_eq!(authenticator.is_right(&hash, "right").await, Ok(true));
        // Whoever must hash now finds no place.
        let _all = authenticator.places.try_acquire_many((HASHED_AT_ONCE + WAITING_MAX) as u32).unwrap();
        assert_eq!(authenticator.is_right(&hash, "right").await, Ok(true));
        assert_eq!(authenticator.is_right(&hash, "wrong").await, Err(AuthError::Busy));
        assert_eq!(AuthError::Busy.kind(), Kind::Overloaded);
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_leaves_its_hashing_counted() {
        let authenticator = Authenticator::new(true, None, [7; 32]);
        let hash = authenticator.hash("right").await.unwrap();
        let all = || authenticator.hashing.available_permits() == HASHED_AT_ONCE;
        assert!(all());
        {
            let asked = std::pin::pin!(authenticator.is_right(&hash, "wrong"));
            assert!(futures::poll!(asked).is_pending());
        }
        assert!(!all(), "the work goes on");
        let ended = async {
            while !all() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("it ends");
    }

    #[test]
    fn a_token_is_refused_without_a_secret_and_without_its_user() {
        let mut state = CatalogState::initial();
        let bearer = |state: &CatalogState, secret: Option<&str>, token: &str| {
            let found = Authenticator::new(true, secret, [7; 32]).bearer(state, token, 100_000_000_000);
            found.map(|principal| principal.name().map(str::to_string)).map_err(|error| error.to_string())
        };
        // {"alg":"HS256"} {"username":"ann","exp":4102444800}
        let body = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VybmFtZSI6ImFubiIsImV4cCI6NDEwMjQ0NDgwMH0";
        let token = {
            use base64::Engine;
            let signature = tag(Function::Sha256, b"s", &[body.as_bytes()]);
            format!("{body}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature))
        };
        assert_eq!(bearer(&state, None, &token), Err("bearer auth disabled".to_string()));
        assert_eq!(bearer(&state, Some("s"), &token), Err("user not found".to_string()));
        set(&mut state, "ann", "");
        assert_eq!(bearer(&state, Some("s"), &token), Ok(Some("ann".to_string())));
        assert_eq!(bearer(&state, Some("t"), &token), Err("signature is invalid".to_string()));
    }

    #[test]
    fn no_secret_is_printed() {
        let printed = format!("{:?}", Authenticator::new(true, Some("s3cret"), [7; 32]));
        assert_eq!(printed, "Authenticator { is_on: true, .. }");
    }
}
