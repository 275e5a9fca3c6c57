//! With authentication on, what has no rule is closed; and what the process says about itself is for administrators.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::config::Listener;
use crate::model::{Classify, Kind};
use crate::protocol::routes::RouteTable;
use crate::protocol::{Gate, auth};

use super::home;

/// Which routes of a listener have a rule.
pub(super) struct Guard {
    /// Whether authentication is on; known before the gateway is open.
    pub(super) is_on: bool,
    pub(super) table: RouteTable,
}

/// Answers 401 for paths that somebody serves without having said who may use them.
pub(super) fn guarded<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<EitherBody<B>>, actix_web::Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    let guard = request.app_data::<Data<Guard>>();
    let has_no_rule = |guard: &Guard| request.match_pattern().is_some_and(|pattern| !guard.table.has(&pattern));
    let is_closed = guard.is_none_or(|guard| guard.is_on && has_no_rule(guard));
    let answer = if is_closed {
        let home = request.app_data::<Data<Listener>>().map_or(Listener::Influxdb, |home| ***home);
        Err(request.into_response(home::unauthenticated(home)))
    } else {
        Ok(service.call(request))
    };
    async move {
        match answer {
            Ok(answer) => answer.await.map(ServiceResponse::map_into_left_body),
            Err(refusal) => Ok(refusal.map_into_right_body()),
        }
    }
}

/// Refuses those who are no administrators, by `Authorization: Basic`. While authentication is off everybody is one.
pub(super) async fn administrator(guard: &Guard, gate: &Gate, request: &HttpRequest) -> Result<(), HttpResponse> {
    if !guard.is_on {
        return Ok(());
    }
    let challenge = || HttpResponse::Unauthorized().insert_header(home::CHALLENGE).finish();
    let Some(core) = gate.core() else { return Err(HttpResponse::ServiceUnavailable().finish()) };
    let login = auth::basic(request.headers()).ok_or_else(challenge)?;
    match core.auth.login(&core.catalog.state(), &login).await {
        Ok(principal) if principal.is_admin() => Ok(()),
        Ok(_) => Err(HttpResponse::Forbidden().finish()),
        Err(error) if error.kind() == Kind::Overloaded => Err(HttpResponse::ServiceUnavailable().finish()),
        Err(_) => Err(challenge()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_and_read_body, call_service, init_service};
    use actix_web::{App, web};

    use super::*;

    /// What a route answers that somebody registered past the table.
    async fn rogue(home: Listener, is_on: bool) -> (StatusCode, String) {
        let guard = Guard { is_on, table: RouteTable::default() };
        let app = App::new()
            .app_data(Data::new(guard))
            .app_data(Data::new(home))
            .wrap_fn(guarded)
            .route("/rogue/{name}", web::get().to(async || "data"));
        let app = init_service(app).await;
        let ask = |path: &str| TestRequest::get().uri(path).to_request();
        // What nobody serves is no secret.
        assert_eq!(call_service(&app, ask("/nowhere")).await.status(), StatusCode::NOT_FOUND);
        let status = call_service(&app, ask("/rogue/x")).await.status();
        (status, String::from_utf8(call_and_read_body(&app, ask("/rogue/x")).await.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn a_route_without_a_rule_is_closed_in_its_protocols_words() {
        for (home, words) in [
            (Listener::Influxdb, r#"{"error":"unable to parse authentication credentials"}"#),
            (Listener::Opentsdb, r#"{"error":{"code":401,"message":"Authentication required"}}"#),
            (Listener::Tdengine, "Authentication failure"),
            (Listener::Cnosdb, r#""error_code":"000000""#),
            (Listener::Elasticsearch, r#""type":"security_exception""#),
        ] {
            let (status, body) = rogue(home, true).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{home}");
            assert!(body.contains(words) && !body.contains("data"), "{home}: {body}");
            assert_eq!(rogue(home, false).await, (StatusCode::OK, "data".to_string()));
        }
    }
}
