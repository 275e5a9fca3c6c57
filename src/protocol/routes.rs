//! Registering routes, each with the rule who may use it.
//!
//! A protocol hands its handlers to [`Routes`] and says of each whether it is open to everybody or asks for credentials itself.
//! What was registered is kept in a [`RouteTable`]: with authentication on, a path that is not in it is answered with 401, and a
//! test asks every route of the table without credentials.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, guard};

/// `GET` and `HEAD`.
pub const READS: &[Method] = &[Method::GET, Method::HEAD];

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, also with authentication on: whether the server is up, and what browsers ask before they ask.
    Open,
    /// With authentication on those who say who they are: the handler asks, before it looks at anything else.
    Checked,
}

/// One entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRoute {
    pub methods: &'static [Method],
    /// As the router reads it: `/write`, `/{index}/_bulk`.
    pub pattern: String,
    /// A path that it takes.
    pub path: String,
    pub access: Access,
}

/// The routes of a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteTable(Vec<ListedRoute>);

impl RouteTable {
    pub fn iter(&self) -> impl Iterator<Item = &ListedRoute> {
        self.0.iter()
    }

    /// Whether a route was registered under this pattern.
    pub fn has(&self, pattern: &str) -> bool {
        self.0.iter().any(|route| route.pattern == pattern)
    }
}

/// Where a protocol registers its routes. Of two that match a request the earlier one counts.
pub struct Routes<'a> {
    app: &'a mut ServiceConfig,
    table: &'a mut RouteTable,
}

impl<'a> Routes<'a> {
    pub fn new(app: &'a mut ServiceConfig, table: &'a mut RouteTable) -> Self {
        Routes { app, table }
    }

    /// A route for everybody.
    pub fn open<F, Args>(&mut self, methods: &'static [Method], path: &str, handler: F) -> &mut Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(methods, path, Access::Open, handler)
    }

    /// A route whose handler finds out who asks, and answers 401 to those who do not say so.
    pub fn checked<F, Args>(&mut self, methods: &'static [Method], path: &str, handler: F) -> &mut Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(methods, path, Access::Checked, handler)
    }

    /// The same for a handler that takes all paths of `pattern` that a guard lets through; `examples` are one of each kind.
    pub fn checked_where<F, Args>(
        &mut self,
        ours: impl guard::Guard + 'static,
        methods: &'static [Method],
        pattern: &str,
        examples: impl Iterator<Item = String>,
        handler: F,
    ) -> &mut Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.app.service(web::resource(pattern).guard(ours).to(handler));
        let listed =
            examples.map(|path| ListedRoute { methods, pattern: pattern.to_string(), path, access: Access::Checked });
        self.table.0.extend(listed);
        self
    }

    fn add<F, Args>(&mut self, methods: &'static [Method], path: &str, access: Access, handler: F) -> &mut Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let is_ours = move |request: &guard::GuardContext<'_>| methods.contains(&request.head().method);
        self.app.service(web::resource(path).guard(guard::fn_guard(is_ours)).to(handler));
        let example = path.replace(['{', '}'], "");
        self.table.0.push(ListedRoute { methods, pattern: path.to_string(), path: example, access });
        self
    }
}
